#include "config_reader.h"

#include <cmath>
#include <limits>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::model {

namespace {

constexpr std::int64_t kLargestSize = std::numeric_limits<std::int32_t>::max();

/// A value as it is shown in a message: a long list or object is cut.
std::string shown(const nlohmann::json& value) {
  constexpr std::size_t kShownCharacters = 80;
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kShownCharacters) text = text.substr(0, kShownCharacters) + "...";
  return text;
}

}  // namespace

ConfigReader::ConfigReader(const nlohmann::json& object, std::string path)
    : object_(object), path_(std::move(path)) {}

bool ConfigReader::has(const std::string& key) const {
  const auto member = object_.find(key);
  return member != object_.end() && !member->is_null();
}

bool ConfigReader::has_members(const std::string& key) const {
  return has(key) && !(at(key).is_object() && at(key).empty());
}

const nlohmann::json& ConfigReader::at(const std::string& key) const { return object_.at(key); }

void ConfigReader::reject(const std::string& key, const std::string& expected) const {
  fail(ErrorKind::kInput, "model: config.json has \"{}{}\": {}; expected {}", path_, key,
       shown(at(key)), expected);
}

void ConfigReader::require_present(const std::string& key) const {
  if (has(key)) return;
  fail(ErrorKind::kInput,
       "model: config.json has no \"{}{}\"; expected it; use the model's own file", path_, key);
}

std::int64_t ConfigReader::integer(const std::string& key, std::int64_t low) const {
  const nlohmann::json& value = at(key);
  const bool too_large = value.is_number_unsigned() &&
                         value.get<std::uint64_t>() > static_cast<std::uint64_t>(kLargestSize);
  if (!value.is_number_integer() || too_large || value.get<std::int64_t>() < low ||
      value.get<std::int64_t>() > kLargestSize) {
    reject(key, fmt::format("an integer from {} to {}", low, kLargestSize));
  }
  return value.get<std::int64_t>();
}

std::int64_t ConfigReader::positive(const std::string& key) const {
  require_present(key);
  return integer(key, 1);
}

std::int64_t ConfigReader::positive(const std::string& key, std::int64_t fallback) const {
  return has(key) ? integer(key, 1) : fallback;
}

std::int64_t ConfigReader::non_negative(const std::string& key, std::int64_t fallback) const {
  return has(key) ? integer(key, 0) : fallback;
}

double ConfigReader::number(const std::string& key, double low) const {
  require_present(key);
  const nlohmann::json& value = at(key);
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < low) {
    reject(key, fmt::format("a number of at least {}", low));
  }
  return value.get<double>();
}

double ConfigReader::number(const std::string& key, double low, double fallback) const {
  return has(key) ? number(key, low) : fallback;
}

bool ConfigReader::boolean(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  if (!at(key).is_boolean()) reject(key, "true or false");
  return at(key).get<bool>();
}

std::string ConfigReader::text(const std::string& key, const std::string& fallback) const {
  if (!has(key)) return fallback;
  if (!at(key).is_string()) reject(key, "a string");
  return at(key).get<std::string>();
}

ConfigReader ConfigReader::object(const std::string& key) const {
  require_present(key);
  if (!at(key).is_object()) reject(key, "an object");
  return ConfigReader(at(key), path_ + key + ".");
}

std::vector<std::string> ConfigReader::texts(const std::string& key) const {
  if (!has(key)) return {};
  const nlohmann::json& list = at(key);
  if (!list.is_array()) reject(key, "a list of strings");
  std::vector<std::string> result;
  for (const nlohmann::json& item : list) {
    if (!item.is_string()) reject(key, "a list of strings");
    result.push_back(item.get<std::string>());
  }
  return result;
}

}  // namespace sgpt_mi::model
