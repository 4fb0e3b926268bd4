// Writes small valid files for each fuzz target: make_seeds FOLDER -> FOLDER/TARGET/NAME.

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "folder_seeds.h"
#include "sgpt_mi/integer_layouts/compressed_tensors.h"
#include "sgpt_mi/integer_layouts/gptq.h"
#include "support/gguf_writer.h"
#include "support/integer_examples.h"
#include "support/packed_examples.h"
#include "support/packers.h"
#include "support/safetensors_bytes.h"

namespace {

void write(const std::filesystem::path& folder, const std::string& target, const std::string& bytes,
           const std::string& name = "seed") {
  std::filesystem::create_directories(folder / target);
  std::ofstream(folder / target / name, std::ios::binary) << bytes;
}

std::string safetensors() {
  const std::string header =
      R"({"__metadata__":{"a":"b"},"t":{"dtype":"U8","shape":[1,2],"data_offsets":[0,2]}})";
  return sgpt_mi::gguf::GgufWriter::number<std::uint64_t>(header.size()) + header + "xy";
}

std::string gguf() {
  sgpt_mi::gguf::GgufWriter writer;
  writer.text("general.architecture", "llama").whole("llama.block_count", 1);
  writer.whole("llama.context_length", 8).whole("llama.embedding_length", 32);
  writer.whole("llama.feed_forward_length", 8).whole("llama.attention.head_count", 1);
  writer.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", {"a", "b"});
  writer.numbers<float>("tokenizer.ggml.scores", 6, {0, 0});
  writer.tensor("token_embd.weight", 8, {32, 2}, std::string(68, 'x'));
  writer.tensor("blk.0.attn_q.weight", 2, {32, 2}, std::string(36, 'x'));
  writer.tensor("rope_freqs.weight", 0, {1}, std::string("\0\0\x80?", 4));
  return writer.bytes();
}

/// {"w": two floats of storage "0"}
std::string pickle() {
  const auto text = [](const std::string& value) {
    return "\x8c" + std::string(1, static_cast<char>(value.size())) + value;
  };
  return std::string("\x80\x02") + "ccollections\nOrderedDict\n)R(" + text("w") +
         "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
         text("0") + text("cpu") + "K\x02tQK" + std::string(1, '\0') +
         "K\x02\x85K\x01\x85\x89}tRu}b.";
}

/// A stored zip archive of a pickle and its storage.
std::string torch_zip() {
  const auto number = [](auto value) { return sgpt_mi::gguf::GgufWriter::number(value); };
  std::string file;
  std::string directory;
  for (const auto& [name, data] : {std::pair<std::string, std::string>{"m/data.pkl", pickle()},
                                   {"m/data/0", std::string(8, 'x')}}) {
    const auto size = static_cast<std::uint32_t>(data.size());
    const std::string common = std::string(12, '\0') + number(size) + number(size) +
                               number(static_cast<std::uint16_t>(name.size()));
    directory += number(0x02014b50U) + std::string(4, '\0') + common + std::string(12, '\0') +
                 number(static_cast<std::uint32_t>(file.size())) + name;
    file +=
        number(0x04034b50U) + std::string(2, '\0') + common + std::string(2, '\0') + name + data;
  }
  const auto start = static_cast<std::uint32_t>(file.size());
  return file + directory + number(0x06054b50U) + std::string(4, '\0') + number(std::uint16_t{2}) +
         number(std::uint16_t{2}) + number(static_cast<std::uint32_t>(directory.size())) +
         number(start) + std::string(2, '\0');
}

/// One packed matrix as packed_matrix_fuzz reads it: kind, 16-bit length and bytes of each part.
std::string packed_matrix(const sgpt_mi::test::PackedForm& form) {
  std::mt19937 engine(1);
  const auto matrix = sgpt_mi::test::random_matrix(form, engine);
  std::string text;
  for (const auto& part : sgpt_mi::packing::pack_matrix("m", matrix.view())) {
    text += static_cast<char>(part.kind);
    text += sgpt_mi::gguf::GgufWriter::number(static_cast<std::uint16_t>(part.bytes.size()));
    text.append(reinterpret_cast<const char*>(part.bytes.data()), part.bytes.size());
  }
  return text;
}

/// Seeds of every layout: mixed widths under a bitmask, ranks, dense codes, values, levels.
void write_packed_matrices(const std::filesystem::path& folder) {
  sgpt_mi::test::PackedForm form;
  form.masked = true;
  form.groups = 3;
  form.labels = true;
  form.widths = {2, 3, 8};
  write(folder, "packed_matrix", packed_matrix(form), "bitmask");
  form.prune_n = 2;
  form.prune_m = 4;
  write(folder, "packed_matrix", packed_matrix(form), "ranks");
  form.widths.clear();
  write(folder, "packed_matrix", packed_matrix(form), "values");
  write(folder, "packed_matrix", packed_matrix({}), "dense");
  form = {};
  form.groups = 3;
  form.levels = form.column_scaled = true;
  write(folder, "packed_matrix", packed_matrix(form), "levels");
}

void write_integer_matrices(const std::filesystem::path& folder) {
  using namespace sgpt_mi::integer_layouts;
  std::mt19937 engine(1);
  const auto matrix = sgpt_mi::test::integer_matrix({8, 32, sgpt_mi::DType::kF32, {4}, 2}, engine);
  write(folder, "integer_matrix",
        sgpt_mi::test::safetensors_bytes(
            gptq_matrix("a", matrix.view(), GptqVersion::kV2).written.tensors),
        "gptq");
  write(folder, "integer_matrix",
        sgpt_mi::test::safetensors_bytes(
            compressed_tensors_matrix("a", matrix.view()).written.tensors),
        "compressed_tensors");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder(argv[1]);
  write(folder, "safetensors", safetensors());
  write(folder, "gguf", gguf());
  write(folder, "gguf_copy", gguf());
  write(folder, "unpickler", pickle());
  write(folder, "torch_pickle", torch_zip());
  write(folder, "json_records",
        "{\"text\":\"a\\n\\u00e9\",\"n\":[1,2.5,null]}\n{\"messages\":[{\"content\":[{\"text\":"
        "\"\"}]}]}\n",
        "lines");
  write(folder, "json_records", "[{\"text\":\"a\"},\n \"b\"]", "array");
  const std::string text = "some text, some text, some text";
  write(folder, "streams", "g" + sgpt_mi::test::gzip(text), "gzip");
  write(folder, "streams", "z" + sgpt_mi::test::zstd(text), "zstd");
  write(folder, "streams", "x" + sgpt_mi::test::xz(text), "xz");
  write_packed_matrices(folder);
  write_integer_matrices(folder);
  sgpt_mi::fuzz::write_folder_seeds(folder);
  return 0;
}
