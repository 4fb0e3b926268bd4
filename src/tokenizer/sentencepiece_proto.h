#pragma once

#include <cstdint>

/// Field numbers and values of sentencepiece's ModelProto (sentencepiece_model.proto, v0.1.97).
namespace sgpt_mi::tokenizer::sentencepiece_proto {

inline constexpr std::uint32_t kPieces = 1;
inline constexpr std::uint32_t kTrainerSpec = 2;
inline constexpr std::uint32_t kNormalizerSpec = 3;

// SentencePiece
inline constexpr std::uint32_t kPieceText = 1;
inline constexpr std::uint32_t kPieceScore = 2;
inline constexpr std::uint32_t kPieceType = 3;
/// The same numbers as GGUF's token types.
enum PieceType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// TrainerSpec
inline constexpr std::uint32_t kModelType = 3;
inline constexpr std::uint64_t kModelTypeBpe = 2;
inline constexpr std::uint32_t kVocabSize = 4;
inline constexpr std::uint32_t kTreatWhitespaceAsSuffix = 24;
inline constexpr std::uint32_t kByteFallback = 35;
inline constexpr std::uint32_t kUnkPiece = 45;
inline constexpr std::uint32_t kBosPiece = 46;
inline constexpr std::uint32_t kEosPiece = 47;

// NormalizerSpec
inline constexpr std::uint32_t kNormalizerName = 1;
inline constexpr std::uint32_t kCharsMap = 2;
inline constexpr std::uint32_t kAddDummyPrefix = 3;
inline constexpr std::uint32_t kRemoveExtraWhitespaces = 4;
inline constexpr std::uint32_t kEscapeWhitespaces = 5;

}  // namespace sgpt_mi::tokenizer::sentencepiece_proto
