#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::text {

struct CalibrationOptions {
  std::int64_t nsamples = 128;  ///< windows to draw, >= 1
  std::int64_t seqlen = 2048;   ///< tokens a window, >= 2
  std::uint64_t seed = 0;       ///< of CPython's random.seed

  /// Throws Error(kUsage) naming the field, its value and its range.
  void validate() const;
};

/// Drawn calibration windows.
struct CalibrationSet {
  std::string dataset;  ///< as the user wrote it
  TokenWindows windows;
  std::vector<std::int64_t> offsets;    ///< first token of each window in its token list
  std::vector<std::int64_t> documents;  ///< c4: document of each window (-1: none), else empty
  std::vector<std::int64_t> documents_tried;  ///< c4: every document drawn, in order
  std::vector<std::string> warnings;  ///< what is poor about the set: few documents, a short text
};

/// Draws windows as the SparseGPT loaders do, with CPython's generator, so that the same seed
/// gives the same windows: wikitext2 and ptb: the train text joined with " " is tokenized once and
/// windows start at randint(0, tokens - seqlen - 1); c4: documents randint(0, count - 1) until one
/// has more than seqlen tokens, then a window in it.
///
/// `dataset`: a set name, a path (documents.h; documents as c4, plain text as wikitext2), a mix
/// "c4:64,ptb:64" whose counts replace nsamples, or a .safetensors file of recorded windows, whose
/// first nsamples are taken; those need no tokenizer, bring their own seqlen and have no offsets.
/// The parts of a mix follow one another, each drawn with a generator of its own that starts from
/// `seed`, so a part gives the same windows as it would alone.
///
/// Throws Error(kUsage) for options out of range, Error(kInput) when a file is missing, the text is
/// shorter than a window, no document is long enough, or too few windows were recorded.
[[nodiscard]] CalibrationSet draw_calibration(const std::string& dataset,
                                              const DataSettings& settings,
                                              const tokenizer::Tokenizer* tokenizer,
                                              const CalibrationOptions& options);

}  // namespace sgpt_mi::text
