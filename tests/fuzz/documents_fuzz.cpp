#include "fuzz_target.h"
#include "input_folder.h"
#include "sgpt_mi/documents/documents.h"

// A file of texts of any kind: what it is, is told by its content.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sgpt_mi::fuzz::InputFolder folder("documents");
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    folder.clear();
    folder.put("texts", file);
    const std::filesystem::path path = folder.path() / "texts";
    if (sgpt_mi::documents::holds_documents(path)) {
      (void)sgpt_mi::documents::read_documents(path, 1000);
    } else {
      (void)sgpt_mi::documents::read_text(path);
    }
  });
}
