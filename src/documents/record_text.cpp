#include "record_text.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::documents {
namespace {

constexpr std::size_t kMostKeysShown = 40;

std::string quoted_list(const std::vector<std::string>& names, std::string_view last) {
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? last : ", ";
    list += fmt::format("\"{}\"", printable(names[i]));
  }
  return list;
}

}  // namespace

bool is_message_key(std::string_view name) {
  return name == "content" || name == "value" || name == "text";
}

std::vector<std::string> wanted_keys(const std::string& key) {
  if (!key.empty()) return {key};
  return {kTextKeys.begin(), kTextKeys.end()};
}

std::string missing_text(const std::vector<std::string>& wanted, std::string_view what,
                         const std::vector<std::string>& found) {
  const std::vector<std::string> shown(
      found.begin(),
      found.begin() + static_cast<std::ptrdiff_t>(std::min(found.size(), kMostKeysShown)));
  return fmt::format("has no {}; its {} are: {}{}; name the one with the text by --text_key",
                     quoted_list(wanted, " or "), what,
                     printable(fmt::format("{}", fmt::join(shown, ", "))),
                     shown.size() < found.size() ? ", ..." : "");
}

// --- MessageList ---------------------------------------------------------------------------------

bool MessageList::close() {
  if (open_.empty()) return true;
  open_.pop_back();
  return false;
}

void MessageList::string(const std::string& value) {
  if (!holds_text()) return;
  if (text_) {
    text_->append(kBetweenMessages).append(value);
  } else {
    text_ = value;
  }
}

bool MessageList::holds_text() const {
  switch (open_.size()) {
    case 0:
      return true;
    case 1:
      return open_[0].is_object && is_message_key(open_[0].key);
    case 2:
      return open_[0].is_object && is_message_key(open_[0].key) && !open_[1].is_object;
    case 3:
      return open_[0].is_object && is_message_key(open_[0].key) && !open_[1].is_object &&
             open_[2].is_object && open_[2].key == "text";
    default:
      return false;
  }
}

// --- RecordText ----------------------------------------------------------------------------------

RecordText::Found* RecordText::slot() {
  if (arrays_ > 0) return nullptr;
  const auto wanted = std::find(wanted_.begin(), wanted_.end(), path_);
  return wanted == wanted_.end() ? nullptr
                                 : &found_[static_cast<std::size_t>(wanted - wanted_.begin())];
}

void RecordText::start_object() {
  if (list_) {
    list_->open(true);
  } else if (depth_ == 0) {
    std::fill(found_.begin(), found_.end(), Found{});
    keys_.clear();
    path_.clear();
  } else {
    other("an object");
  }
  ++depth_;
  if (arrays_ == 0) paths_.push_back(path_.size());
}

void RecordText::end_object() {
  --depth_;
  if (list_) static_cast<void>(list_->close());
  if (arrays_ == 0) paths_.pop_back();
}

void RecordText::start_array() {
  ++depth_;
  if (list_) {
    list_->open(false);
  } else if (Found* found = slot(); found != nullptr) {
    list_.emplace();
    list_slot_ = found;
  }
  ++arrays_;
}

void RecordText::end_array() {
  --depth_;
  --arrays_;
  if (!list_ || !list_->close()) return;
  *list_slot_ = {std::move(*list_).text(), "a list without texts"};
  list_.reset();
}

void RecordText::key(const std::string& name) {
  if (list_) return list_->key(name);
  if (arrays_ > 0) return;
  path_.resize(paths_.back());
  if (!path_.empty()) path_ += '.';
  path_ += name;
  if (!found_.front().text) keys_.push_back(path_);  // with the best text why() is not asked
}

void RecordText::string(std::string& value) {
  if (list_) return list_->string(value);
  if (Found* found = slot(); found != nullptr) *found = {std::move(value), {}};
}

void RecordText::other(std::string_view type) {
  if (list_) return;
  if (Found* found = slot(); found != nullptr) *found = {std::nullopt, type};
}

std::optional<std::string> RecordText::take() {
  for (Found& found : found_) {
    if (found.text) return std::move(found.text);
  }
  return std::nullopt;
}

std::string RecordText::why() const {
  for (std::size_t i = 0; i < found_.size(); ++i) {
    if (found_[i].other.empty()) continue;
    return fmt::format("has {} as \"{}\"; expected a string or a list of messages", found_[i].other,
                       printable(wanted_[i]));
  }
  return missing_text(wanted_, "keys", keys_);
}

}  // namespace sgpt_mi::documents
