#include "sgpt_mi/journal/run_journal.h"

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/io/posix_file.h"

namespace sgpt_mi::journal {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kRecords = "journal";
constexpr const char* kLock = io::PartialFolder::kLockFile;
/// What StagedFolder and StagedFile call the result until it is whole: theirs to remove.
constexpr std::string_view kOutput = "output";

/// Kinds of records.
constexpr const char* kRun = "run";
constexpr const char* kKept = "kept";
constexpr const char* kStep = "step";
constexpr const char* kGoesOn = "goes on";

bool is_kind(const json& record, const char* kind) {
  return record.is_object() && record.value("record", "") == kind;
}

std::optional<Progress> progress_in(const std::vector<json>& records, const fs::path& folder) {
  if (records.empty() || !is_kind(records.front(), kRun)) return std::nullopt;
  const auto count = [&](const char* kind) {
    return std::count_if(records.begin(), records.end(),
                         [&](const json& record) { return is_kind(record, kind); });
  };
  const auto done = count(kStep);
  if (done == 0 && count(kKept) == 0) return std::nullopt;
  const json& run = records.front();
  const auto steps = std::max<std::int64_t>(1, run.value("steps", std::int64_t{1}));
  return Progress{folder, std::min(1.0, static_cast<double>(done) / static_cast<double>(steps)),
                  run.value("command", std::vector<std::string>())};
}

std::string file_sha256(const fs::path& path) {
  const io::MappedFile file(path);
  Sha256 hash;
  hash.update(file.bytes());
  return hash.hex_digest();
}

/// The first difference of two values, "a.b is 4 there and 3 here"; empty when there is none.
std::string difference(const std::string& name, const json& there, const json& here) {
  if (!there.is_object() || !here.is_object()) {
    if (there == here) return {};
    return fmt::format("{} is {} there and {} here", name, there.dump(), here.dump());
  }
  for (const auto& [key, value] : here.items()) {
    const auto found = there.find(key);
    std::string text = difference(key, found == there.end() ? json() : *found, value);
    if (!text.empty()) return text;
  }
  return {};
}

}  // namespace

RunJournal::RunJournal(const fs::path& target) : folder_(target) {
  records_.emplace(file(kRecords));
}

RunJournal::~RunJournal() {
  if (records_ && !progress()) remove();
}

fs::path RunJournal::file(const std::string& name) const { return folder_.path() / name; }

std::optional<Progress> RunJournal::progress() const {
  return progress_in(records_->records(), folder_.path());
}

std::optional<Progress> RunJournal::progress_of(const fs::path& target) {
  std::error_code not_there;
  if (!fs::exists(io::PartialFolder::path_for(target) / kRecords, not_there)) return std::nullopt;
  return RunJournal(target).progress();
}

void RunJournal::require_same(const json& identity) const {
  const json there = records_->records().front().value("identity", json::object());
  const std::string text = difference("run", there, identity);
  if (text.empty()) return;
  fail(ErrorKind::kUsage,
       "resume: {} holds an unfinished run that differs: {}; give what it was started with, or "
       "remove it: rm -r '{}'",
       folder_.path().string(), text, folder_.path().string());
}

void RunJournal::begin(const json& identity, const std::vector<std::string>& command,
                       std::int64_t steps) {
  records_.reset();
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_.path(), error)) {
    const std::string name = entry.path().filename().string();
    if (!error && name != kLock && !name.starts_with(kOutput)) fs::remove_all(entry.path(), error);
  }
  if (error) io::fail_output(folder_.path(), error.value());
  records_.emplace(file(kRecords));
  io::sync_path(folder_.path());
  append({{"record", kRun}, {"identity", identity}, {"command", command}, {"steps", steps}});
}

void RunJournal::go_on() { append({{"record", kGoesOn}}); }

void RunJournal::append(json record) { records_->append(std::move(record)); }

std::optional<json> RunJournal::find(const std::string& key) const {
  const std::vector<json>& records = records_->records();
  const auto last = std::find_if(records.rbegin(), records.rend(), [&](const json& record) {
    const bool kept = is_kind(record, kKept) || is_kind(record, kStep);
    return kept && record.value("key", "") == key;
  });
  return last == records.rend() ? std::nullopt : std::optional(last->value("value", json()));
}

std::unique_ptr<containers::TensorSource> RunJournal::tensors(const std::string& key) const {
  const fs::path path = file(key) / containers::shard_name(0, 1);
  const std::vector<json>& records = records_->records();
  const auto last = std::find_if(records.rbegin(), records.rend(), [&](const json& record) {
    return record.value("key", "") == key && record.contains("sha256");
  });
  if (last == records.rend()) return nullptr;
  std::error_code not_there;
  if (!fs::exists(path, not_there) || file_sha256(path) != last->at("sha256")) return nullptr;
  return containers::open_safetensors(path);
}

void RunJournal::keep(const std::string& key, json value,
                      const std::vector<containers::TensorData>& tensors) {
  append(record_of(kKept, key, std::move(value), tensors));
}

void RunJournal::keep_step(const std::string& key, json value,
                           const std::vector<containers::TensorData>& tensors) {
  append(record_of(kStep, key, std::move(value), tensors));
}

/// A record, and its tensors on the disk.
json RunJournal::record_of(const char* kind, const std::string& key, json value,
                           const std::vector<containers::TensorData>& tensors) const {
  json record{{"record", kind}, {"key", key}, {"value", std::move(value)}};
  if (tensors.empty()) return record;
  const fs::path folder = file(key);
  std::error_code error;
  fs::remove_all(folder, error);  // of a process that was killed here
  if (!error) fs::create_directory(folder, error);
  if (error) io::fail_output(folder, error.value());
  std::vector<containers::TensorInfo> infos;
  infos.reserve(tensors.size());
  for (const containers::TensorData& tensor : tensors) infos.push_back(tensor.info);
  containers::SafetensorsWriter writer(folder, std::move(infos),
                                       std::numeric_limits<std::size_t>::max());
  for (const containers::TensorData& tensor : tensors) writer.put(tensor.info.name, tensor.bytes);
  writer.finish();
  io::sync_path(folder);
  io::sync_path(folder_.path());
  record["sha256"] = file_sha256(folder / containers::shard_name(0, 1));
  return record;
}

void RunJournal::remove() {
  records_.reset();
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_.path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name != kLock && !name.starts_with(kOutput)) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace sgpt_mi::journal
