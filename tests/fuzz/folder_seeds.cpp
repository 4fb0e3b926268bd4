#include "folder_seeds.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <parquet/arrow/writer.h>

#include <fstream>
#include <map>
#include <random>
#include <string>

#include "input_folder.h"
#include "sgpt_mi/formats/packed_checkpoint.h"
#include "sgpt_mi/integer_layouts/compressed_tensors.h"
#include "sgpt_mi/integer_layouts/gptq.h"
#include "sgpt_mi/journal/run_journal.h"
#include "support/integer_examples.h"
#include "support/packed_examples.h"
#include "support/packers.h"
#include "support/safetensors_bytes.h"
#include "support/temporary_folder.h"
#include "support/toy_tokenizer.h"
#include "tokenizer/gguf_tokenizer.h"
#include "unit/documents/table.h"
#include "unit/tokenizer/toy_vocabulary.h"

namespace sgpt_mi::fuzz {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& bytes) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

void write_tables(const fs::path& folder) {
  const auto table = test::table_of("text", test::strings({"one", "", "two"}));
  fs::create_directories(folder);
  const auto parquet = *arrow::io::FileOutputStream::Open((folder / "parquet").string());
  (void)parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), parquet, 2);
  const auto nested = *arrow::io::FileOutputStream::Open((folder / "messages").string());
  (void)parquet::arrow::WriteTable(*test::table_of("messages", test::messages()),
                                   arrow::default_memory_pool(), nested, 2);
  for (const bool stream : {true, false}) {
    const auto file =
        *arrow::io::FileOutputStream::Open((folder / (stream ? "stream" : "feather")).string());
    const auto writer = stream ? *arrow::ipc::MakeStreamWriter(file, table->schema())
                               : *arrow::ipc::MakeFileWriter(file, table->schema());
    (void)writer->WriteTable(*table, 2);
    (void)writer->Close();
  }
}

void write_documents(const fs::path& folder) {
  write_tables(folder);
  const std::string lines = "{\"text\":\"a\\u00e9\"}\n{\"text\":\"b\",\"n\":[1,{}]}\n";
  write(folder / "lines", lines);
  write(folder / "gzip", test::gzip(lines));
  write(folder / "text", "\xEF\xBB\xBFSome text.\r\nMore \xE2\x82\xAC.\n");
}

void write_tokenizers(const fs::path& folder) {
  nlohmann::json json = test::toy_tokenizer_json();
  write(folder / "plain", pack({{0, json.dump()}}));
  json["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "Prepend"}, {"prepend", "\u2581"}},
        {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}},
        {{"type", "NFC"}}}}};
  json["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"Regex", R"(\p{L}+|\s+(?!\S)|\d{1,3})"}}},
                           {"behavior", "Isolated"},
                           {"invert", false}};
  json["added_tokens"] = {{{"id", 6},
                           {"content", "</s>"},
                           {"special", true},
                           {"lstrip", true},
                           {"rstrip", false},
                           {"single_word", false},
                           {"normalized", false}}};
  write(folder / "stages",
        pack({{0, json.dump()}, {4, R"({"bos_token": "</s>", "add_bos_token": true})"}}));
  json["pre_tokenizer"] = {{"type", "ByteLevel"},
                           {"add_prefix_space", true},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  write(folder / "bytes", pack({{0, json.dump()}, {6, R"({"<x>": 7})"}}));
  write(folder / "merges", pack({{2, R"({"a": 0, "b": 1, "ab": 2, "</s>": 3, "Ġ": 4})"},
                                 {3, "#version: 0.2\na b\n"},
                                 {4, R"({"bos_token": "</s>", "add_bos_token": true})"},
                                 {5, R"({"eos_token": {"content": "</s>", "lstrip": false}})"}}));
  write(folder / "sentencepiece",
        pack({{1, tokenizer::gguf_sentencepiece_model(test::toy_llama_vocabulary())},
              {4, R"({"legacy": false})"},
              {7, R"({"model_type": "llama"})"}}));
}

std::string packed_folder(const nlohmann::json& config) {
  const InputFolder folder("packed");
  folder.clear();
  formats::PackedWriter writer(folder.path());
  std::mt19937 engine(1);
  test::PackedForm form;
  form.masked = form.labels = true;
  form.groups = 3;
  form.widths = {2, 3, 8};
  const auto coded = test::random_matrix(form, engine);
  (void)writer.put_matrix("a", coded.view());
  form = {};
  form.levels = form.column_scaled = true;
  const auto levels = test::random_matrix(form, engine);
  (void)writer.put_matrix("b", levels.view());
  (void)writer.finish(config);
  return pack({{0, test::read_all(folder.path() / "config.json")},
               {1, test::read_all(folder.path() / "model.safetensors")}});
}

void write_checkpoints(const fs::path& folder) {
  using namespace integer_layouts;
  const nlohmann::json config{{"model_type", "opt"}, {"hidden_size", 32}};
  write(folder / "packed", packed_folder(config));
  std::mt19937 engine(1);
  const auto matrix = test::integer_matrix({8, 32, DType::kF32, {4}, 2}, engine);
  nlohmann::json gptq = config;
  gptq["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4},
                                 {"group_size", 8},        {"sym", false},
                                 {"desc_act", true},       {"checkpoint_format", "gptq_v2"}};
  write(folder / "gptq",
        pack({{0, gptq.dump()},
              {1, test::safetensors_bytes(
                      gptq_matrix("a", matrix.view(), GptqVersion::kV2).written.tensors)}}));
  nlohmann::json groups = config;
  groups["quantization_config"] = compressed_tensors_config({{"a", 4, 8, false}}, {});
  write(folder / "compressed_tensors",
        pack({{0, groups.dump()},
              {1, test::safetensors_bytes(
                      compressed_tensors_matrix("a", matrix.view()).written.tensors)}}));
  const auto shard = [](const std::string& name) {
    const std::string header =
        R"({")" + name + R"(":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}})";
    const auto size = static_cast<char>(header.size());
    return std::string(1, size) + std::string(7, '\0') + header + "abcd";
  };
  write(
      folder / "shards",
      pack({{0, config.dump()},
            {2,
             R"({"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors",)"
             R"("b":"model-00002-of-00002.safetensors"}})"},
            {4, shard("a")},
            {5, shard("b")}}));
}

void write_journal(const fs::path& folder) {
  const InputFolder kept("journal");
  kept.clear();
  journal::RunJournal journal(kept.path() / "out");
  journal.begin({{"version", "1"}, {"settings", {{"wbits", 4}}}}, {"sgpt-mi", "compress"}, 4);
  journal.keep("plan", {{"choice", 1}});
  const auto values = std::make_shared<const std::vector<float>>(3, 1.5F);
  journal.keep_step("block-0", {{"loss", 0.1}},
                    {{{"w", DType::kF32, {3}}, std::as_bytes(std::span(*values)), values}});
  std::vector<std::pair<std::size_t, std::string>> files;
  for (const std::string& name : kJournalFiles) {
    files.emplace_back(files.size(), test::read_all(kept.path() / name));
  }
  write(folder / "step", pack(files));
  journal.remove();
}

}  // namespace

void write_folder_seeds(const fs::path& folder) {
  write_documents(folder / "documents");
  write_tokenizers(folder / "tokenizer");
  write_checkpoints(folder / "checkpoint");
  write_journal(folder / "journal");
}

}  // namespace sgpt_mi::fuzz
