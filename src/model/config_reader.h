#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sgpt_mi::model {

/// Checked access to the members of a config.json. A member that is null counts as absent.
///
/// Every getter with a fallback returns it when the member is absent; those without throw. Errors
/// are Error(kInput) and name the key with its path ("rope_scaling.factor"), the value and the
/// range.
class ConfigReader {
 public:
  /// `path` is put before the keys in messages: "" or "rope_scaling.". `object` must outlive it.
  explicit ConfigReader(const nlohmann::json& object, std::string path = "");

  [[nodiscard]] bool has(const std::string& key) const;
  /// Whether the member is there, null or not.
  [[nodiscard]] bool mentions(const std::string& key) const { return object_.contains(key); }
  /// Whether the member is there and neither null nor an empty object.
  [[nodiscard]] bool has_members(const std::string& key) const;

  /// 1 .. 2^31 - 1, so that the product of two of them cannot overflow.
  [[nodiscard]] std::int64_t positive(const std::string& key) const;
  [[nodiscard]] std::int64_t positive(const std::string& key, std::int64_t fallback) const;
  /// 0 .. 2^31 - 1.
  [[nodiscard]] std::int64_t non_negative(const std::string& key, std::int64_t fallback) const;

  /// A finite number of at least `low`.
  [[nodiscard]] double number(const std::string& key, double low) const;
  [[nodiscard]] double number(const std::string& key, double low, double fallback) const;

  [[nodiscard]] bool boolean(const std::string& key, bool fallback) const;
  [[nodiscard]] std::string text(const std::string& key, const std::string& fallback) const;
  [[nodiscard]] ConfigReader object(const std::string& key) const;
  /// A list of strings; empty when absent.
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) const;

  /// Throws Error(kInput): `key` holds its value; `expected`.
  [[noreturn]] void reject(const std::string& key, const std::string& expected) const;

 private:
  [[nodiscard]] const nlohmann::json& at(const std::string& key) const;
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t low) const;
  void require_present(const std::string& key) const;

  const nlohmann::json& object_;
  std::string path_;
};

}  // namespace sgpt_mi::model
