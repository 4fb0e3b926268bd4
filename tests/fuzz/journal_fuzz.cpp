#include "fuzz_target.h"
#include "input_folder.h"
#include "sgpt_mi/journal/run_journal.h"

// What a killed run left: records with checksums, and the tensors of one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sgpt_mi::fuzz::InputFolder folder("journal");
  static const std::filesystem::path target = folder.path() / "out";
  static const std::filesystem::path partial = folder.path() / "out.partial";
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> input) {
    folder.clear();
    std::filesystem::create_directories(partial / "block-0");
    folder.unpack(input, sgpt_mi::fuzz::kJournalFiles);
    const sgpt_mi::journal::RunJournal journal(target);
    if (!journal.progress()) return;
    (void)journal.find("plan");
    (void)journal.find("block-0");
    const auto tensors = journal.tensors("block-0");
    if (tensors == nullptr) return;
    for (const auto& info : tensors->tensors()) (void)tensors->read(info.name);
  });
}
