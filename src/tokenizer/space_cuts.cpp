#include "space_cuts.h"

#include "protobuf_wire.h"
#include "sentencepiece_proto.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::tokenizer {
namespace {

namespace proto = sentencepiece_proto;

constexpr std::string_view kSpaceSymbol = "\u2581";  // how sentencepiece writes a space

/// Whether a sub-message of the model allows cuts; the defaults are those of the proto file.
bool normalizer_allows(std::string_view spec) {
  bool dummy_prefix = true;
  bool removes_spaces = true;
  bool escapes = true;
  bool maps_characters = false;
  for (const ProtobufField& field : protobuf_fields(spec)) {
    if (field.field == proto::kAddDummyPrefix) dummy_prefix = field.number != 0;
    if (field.field == proto::kRemoveExtraWhitespaces) removes_spaces = field.number != 0;
    if (field.field == proto::kEscapeWhitespaces) escapes = field.number != 0;
    if (field.field == proto::kCharsMap) maps_characters = !field.bytes.empty();
  }
  return dummy_prefix && !removes_spaces && escapes && !maps_characters;
}

bool trainer_allows(std::string_view spec) {
  bool bpe = false;
  bool suffix = false;
  for (const ProtobufField& field : protobuf_fields(spec)) {
    if (field.field == proto::kModelType) bpe = field.number == proto::kModelTypeBpe;
    if (field.field == proto::kTreatWhitespaceAsSuffix) suffix = field.number != 0;
  }
  return bpe && !suffix;
}

std::string_view piece_text(std::string_view piece) {
  for (const ProtobufField& field : protobuf_fields(piece)) {
    if (field.field == proto::kPieceText) return field.bytes;
  }
  return {};
}

}  // namespace

SpaceCuts::SpaceCuts(std::string_view model) {
  bool normalizer = false;
  bool trainer = false;
  bool space_is_known = false;
  for (const ProtobufField& field : protobuf_fields(model)) {
    if (field.field == proto::kNormalizerSpec) normalizer = normalizer_allows(field.bytes);
    if (field.field == proto::kTrainerSpec) trainer = trainer_allows(field.bytes);
    if (field.field == proto::kPieces) {
      space_is_known = space_is_known || piece_text(field.bytes) == kSpaceSymbol;
    }
  }
  enabled_ = normalizer && trainer && space_is_known;
  if (enabled_) read_pieces(model);
}

void SpaceCuts::read_pieces(std::string_view model) {
  for (const ProtobufField& field : protobuf_fields(model)) {
    if (field.field != proto::kPieces) continue;
    const std::string_view piece = piece_text(field.bytes);
    for (std::size_t at = piece.find(kSpaceSymbol, 1); at != std::string_view::npos;
         at = piece.find(kSpaceSymbol, at + 1)) {
      before_space_.insert(
          pretokenizer::code_point(pretokenizer::last_character(piece.substr(0, at))));
    }
  }
}

std::vector<std::string_view> SpaceCuts::parts(std::string_view text) const {
  if (!enabled_) return {text};
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  for (std::size_t space = text.find(' ', 1);
       space != std::string_view::npos && space + 1 < text.size();
       space = text.find(' ', space + 1)) {
    if (space == begin) continue;  // a part is not empty
    const std::string_view before = pretokenizer::last_character(text.substr(0, space));
    const char32_t symbol = pretokenizer::code_point(before == " " ? kSpaceSymbol : before);
    if (before_space_.contains(symbol)) continue;
    parts.push_back(text.substr(begin, space - begin));
    begin = space + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

}  // namespace sgpt_mi::tokenizer
