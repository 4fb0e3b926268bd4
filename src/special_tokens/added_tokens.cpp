#include "sgpt_mi/special_tokens/added_tokens.h"

#include <algorithm>
#include <utility>

#include "sgpt_mi/pretokenizer/regex.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::special_tokens {
namespace {

unsigned char first_byte(const AddedToken& token) {
  return static_cast<unsigned char>(token.content.front());
}

bool is_white_space(std::string_view character) {
  static const pretokenizer::Regex kWhiteSpace("\\p{White_Space}");
  return kWhiteSpace.matches_start(character);
}

bool is_word_character(std::string_view character) {
  // UTS #18, annex C.
  static const pretokenizer::Regex kWord("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]");
  return kWord.matches_start(character);
}

bool stands_alone(std::string_view before, std::string_view after) {
  return (before.empty() || !is_word_character(pretokenizer::last_character(before))) &&
         (after.empty() || !is_word_character(pretokenizer::first_character(after)));
}

std::size_t white_space_at_end(std::string_view text) {
  std::size_t size = text.size();
  while (size > 0 && is_white_space(pretokenizer::last_character(text.substr(0, size)))) {
    size -= pretokenizer::last_character(text.substr(0, size)).size();
  }
  return text.size() - size;
}

std::size_t white_space_at_start(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && is_white_space(pretokenizer::first_character(text.substr(size)))) {
    size += pretokenizer::character_size(text[size]);
  }
  return size;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
    return a.content.size() > b.content.size();
  });
  for (const AddedToken& token : tokens_) ++first_of_byte_[std::size_t{first_byte(token)} + 1];
  for (std::size_t b = 1; b < first_of_byte_.size(); ++b)
    first_of_byte_[b] += first_of_byte_[b - 1];
}

const AddedToken* AddedTokenMatcher::longest_at(std::string_view text) const {
  const auto byte = static_cast<unsigned char>(text.front());
  for (std::size_t i = first_of_byte_[byte]; i < first_of_byte_[std::size_t{byte} + 1]; ++i) {
    if (text.starts_with(tokens_[i].content)) return &tokens_[i];
  }
  return nullptr;
}

std::vector<Segment> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<Segment> segments;
  std::size_t done = 0;
  const auto add_text = [&](std::size_t end) {
    if (done < end) segments.push_back({text.substr(done, end - done), kNoToken});
  };
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = longest_at(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at + token->content.size();
    at = end;
    if (token->single_word && !stands_alone(text.substr(0, begin), text.substr(end))) continue;
    if (token->lstrip) begin = std::max(done, begin - white_space_at_end(text.substr(0, begin)));
    if (token->rstrip) end += white_space_at_start(text.substr(end));
    add_text(begin);
    segments.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  add_text(text.size());
  return segments;
}

}  // namespace sgpt_mi::special_tokens
