#include "remote_repo.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "address.h"
#include "environment.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostListingBytes = std::size_t{64} << 20;
constexpr std::size_t kMostHeadBytes = std::size_t{1} << 16;  // a HEAD has none

/// An etag without W/ and quotes.
std::string plain_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  return etag;
}

/// Whether an answer names a commit and files, as it must.
bool is_listing(const nlohmann::json& json) {
  const auto text = [](const nlohmann::json& object, const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_string();
  };
  return text(json, "sha") && is_plain_name(json["sha"].get<std::string>()) &&
         json.contains("siblings") && json["siblings"].is_array() &&
         std::all_of(json["siblings"].begin(), json["siblings"].end(),
                     [&](const auto& sibling) { return text(sibling, "rfilename"); });
}

}  // namespace

RemoteRepo::RemoteRepo(Repo repo, std::string revision, const Session& session)
    : repo_(std::move(repo)),
      revision_(std::move(revision)),
      session_(session),
      cache_(repo_),
      conduct_(conduct()) {}

Conduct RemoteRepo::conduct() const {
  Conduct result;
  result.endpoint = endpoint();
  result.token = token();
  result.certificates = certificate_file();
  result.silence_seconds = silence_seconds();
  result.first_delay_seconds = session_.first_delay_seconds;
  result.warn = session_.warn;
  return result;
}

std::string RemoteRepo::resolve_address(const std::string& revision,
                                        const std::string& name) const {
  return fmt::format("{}/{}/resolve/{}/{}", conduct_.endpoint, repo_.page(), quote(revision, false),
                     quote(name, true));
}

std::unique_ptr<TextExchange> RemoteRepo::ask_for_list(bool patience) const {
  auto question =
      std::make_unique<TextExchange>(fmt::format("{}/api/{}/{}/revision/{}", conduct_.endpoint,
                                                 repo_.kind == Kind::kModel ? "models" : "datasets",
                                                 repo_.id, quote(revision_, false)),
                                     kMostListingBytes);
  Conduct asking = conduct_;
  if (!patience) asking.most_failures = 0;
  Exchange* const one[] = {question.get()};
  run_exchanges(one, asking);
  return question;
}

Listing RemoteRepo::read_listing(const std::string& text) const {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!is_listing(json)) {
    fail(ErrorKind::kInput,
         "hub: {} describes {} '{}' by something that is no list of files with a commit; check "
         "HF_ENDPOINT",
         conduct_.endpoint, repo_.word(), repo_.id);
  }
  Listing listing{json["sha"].get<std::string>(), {}};
  for (const auto& sibling : json["siblings"]) {
    auto name = sibling["rfilename"].get<std::string>();
    // Nothing that is read has a name that leaves the folder; such a file is as good as not there.
    if (is_path_below(name)) listing.names.push_back(std::move(name));
  }
  std::sort(listing.names.begin(), listing.names.end());
  return listing;
}

Listing RemoteRepo::list(bool patience) const {
  const auto question = ask_for_list(patience);
  if (!question->answer.good()) {
    explain_refusal({repo_, revision_, ""}, question->answer, conduct_);
  }
  return read_listing(question->text);
}

std::optional<Listing> RemoteRepo::list_if_there() const {
  const auto question = ask_for_list(true);
  if (question->answer.status == 404) return std::nullopt;
  if (!question->answer.good()) {
    explain_refusal({repo_, revision_, ""}, question->answer, conduct_);
  }
  return read_listing(question->text);
}

RemoteFile RemoteRepo::read_description(const std::string& name, const Answer& answer) const {
  if (answer.status >= 400) explain_refusal({repo_, revision_, name}, answer, conduct_);
  RemoteFile file;
  file.name = name;
  file.commit = answer.header("x-repo-commit");
  const std::string linked = answer.header("x-linked-etag");
  file.etag = plain_etag(linked.empty() ? answer.header("etag") : linked);
  std::string size = answer.header("x-linked-size");
  if (size.empty() && answer.good()) size = answer.header("content-length");
  file.size = whole_number<std::int64_t>(size).value_or(-1);
  if (!is_plain_name(file.etag)) {
    fail(ErrorKind::kInput,
         "hub: {} answers with the etag {} for {} of '{}'; expected the hash of the file; check "
         "HF_ENDPOINT",
         conduct_.endpoint, shown(file.etag), name, repo_.id);
  }
  return file;
}

std::vector<RemoteFile> RemoteRepo::describe(const std::string& revision,
                                             const std::vector<std::string>& names) const {
  std::vector<std::unique_ptr<TextExchange>> questions;
  std::vector<Exchange*> exchanges;
  for (const std::string& name : names) {
    questions.push_back(
        std::make_unique<TextExchange>(resolve_address(revision, name), kMostHeadBytes));
    questions.back()->head_only = true;
    exchanges.push_back(questions.back().get());
  }
  run_exchanges(exchanges, conduct_);
  std::vector<RemoteFile> files;
  for (std::size_t i = 0; i < names.size(); ++i) {
    files.push_back(read_description(names[i], questions[i]->answer));
    RemoteFile& file = files.back();
    if (file.commit.empty()) file.commit = is_commit(revision) ? revision : list().commit;
    if (!is_plain_name(file.commit)) {
      fail(ErrorKind::kInput, "hub: {} names the commit {} for '{}'; check HF_ENDPOINT",
           conduct_.endpoint, shown(file.commit), repo_.id);
    }
  }
  return files;
}

void RemoteRepo::check_space() const {
  std::int64_t missing = 0;
  for (const auto& [etag, blob] : blobs_) {
    missing += std::max<std::int64_t>(0, blob->file().size - blob->kept());
  }
  make_folder(cache_.folder() / "blobs");
  std::error_code unknown;
  const fs::space_info space = fs::space(cache_.folder(), unknown);
  if (unknown || space.available >= static_cast<std::uintmax_t>(missing)) return;
  fail(ErrorKind::kInput,
       "hub: '{}' takes {} more and {} has {} free; make room, or let HF_HUB_CACHE name a folder "
       "on another disk",
       repo_.id, human_bytes(missing), cache_.folder().string(),
       human_bytes(static_cast<std::int64_t>(space.available)));
}

void RemoteRepo::tell(std::int64_t received, bool finished) {
  fetched_ += received;
  if (!session_.progress) return;
  Progress progress{repo_.id, 0, fetched_, 0, 0, finished, false};
  bool under_way = false;
  for (const auto& [etag, blob] : blobs_) {
    under_way |= blob->is_mine();
    progress.waiting |= blob->is_anothers();
    const std::int64_t kept = blob->kept();
    progress.done += kept;
    progress.total += std::max(blob->file().size, kept);
    ++progress.files;
  }
  progress.waiting &= !under_way;
  session_.progress(progress);
}

void RemoteRepo::fetch(const std::vector<RemoteFile>& files) {
  std::vector<Exchange*> exchanges;
  for (const RemoteFile& file : files) {
    if (blobs_.contains(file.etag)) continue;  // files of the same content are one blob
    auto blob =
        std::make_unique<BlobExchange>(resolve_address(file.commit, file.name), cache_, file,
                                       Question{repo_, revision_, file.name}, conduct_);
    exchanges.push_back(blob.get());
    blobs_.emplace(file.etag, std::move(blob));
  }
  check_space();
  Conduct telling = conduct_;
  telling.tick = [&](std::int64_t received) { tell(received, false); };
  run_exchanges(exchanges, telling);
  for (const RemoteFile& file : files) cache_.link(file.commit, file.name, file.etag);
}

void RemoteRepo::finish(const std::string& commit) {
  cache_.set_ref(revision_, commit);
  if (fetched_ > 0) tell(0, true);
}

}  // namespace sgpt_mi::hub
