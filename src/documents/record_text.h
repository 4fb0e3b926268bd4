#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::documents {

/// The members of a record that hold its text, best first, unless somebody names one.
constexpr std::array<std::string_view, 4> kTextKeys{"text", "sentence", "messages",
                                                    "conversations"};

/// What stands between the texts of a list.
constexpr std::string_view kBetweenMessages = "\n";

/// Whether the member of this name is what a message says: OpenAI's and ShareGPT's names.
[[nodiscard]] bool is_message_key(std::string_view name);

/// The names that `key` leaves to look for: itself, or kTextKeys when it is empty.
[[nodiscard]] std::vector<std::string> wanted_keys(const std::string& key);

/// What was missing in a record or a table, as the end of a sentence: `has no "text", …; its <what>
/// are: …; give the one with the text by --text_key KEY`.
[[nodiscard]] std::string missing_text(const std::vector<std::string>& wanted,
                                       std::string_view what,
                                       const std::vector<std::string>& found);

/// Joins what the messages of a list say, fed with the events of its elements.
///
/// Texts are strings of the list, a message's string under a name of is_message_key(), and, where
/// that is a list of parts, its strings and the strings "text" of its objects.
class MessageList {
 public:
  void open(bool is_object) { open_.push_back({is_object, {}}); }
  /// Whether the list itself was closed.
  bool close();
  void key(const std::string& name) { open_.back().key = name; }
  void string(const std::string& value);

  [[nodiscard]] std::optional<std::string> text() && { return std::move(text_); }

 private:
  struct Container {
    bool is_object = false;
    std::string key;  ///< of an object: the member at hand
  };
  [[nodiscard]] bool holds_text() const;

  std::vector<Container> open_;  ///< inside the list
  std::optional<std::string> text_;
};

/// Finds the text of one record after another in the events of a JSON parser. A record is an
/// object; start_object() begins one when none is open.
class RecordText {
 public:
  explicit RecordText(const std::string& key) : wanted_(wanted_keys(key)), found_(wanted_.size()) {}

  void start_object();
  void end_object();
  void start_array();
  void end_array();
  void key(const std::string& name);
  void string(std::string& value);
  void null() { other("null"); }
  void other(std::string_view type);

  /// Whether a record is open.
  [[nodiscard]] bool is_open() const { return depth_ > 0; }

  /// The text, or nothing and why() as the end of a sentence.
  [[nodiscard]] std::optional<std::string> take();
  [[nodiscard]] std::string why() const;

 private:
  /// What stands under one of the wanted keys.
  struct Found {
    std::optional<std::string> text;
    std::string_view other;  ///< the type of what is no text
  };
  /// The slot of the member at hand, if it is one of the wanted.
  [[nodiscard]] Found* slot();

  std::vector<std::string> wanted_;
  std::vector<Found> found_;
  std::size_t depth_ = 0;           ///< objects and arrays that are open
  std::size_t arrays_ = 0;          ///< arrays among them, whose members have no name
  std::string path_;                ///< names from the record to the member at hand, with dots
  std::vector<std::size_t> paths_;  ///< length of path_ at each open object
  std::vector<std::string> keys_;   ///< seen, for why()
  std::optional<MessageList> list_;
  Found* list_slot_ = nullptr;
};

}  // namespace sgpt_mi::documents
