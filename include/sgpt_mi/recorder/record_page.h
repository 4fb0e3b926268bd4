#pragma once

#include <cstdint>
#include <string>

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::recorder {

/// A compression as it went, or as far as it came.
struct Record {
  const report::RunReport& report;
  std::int64_t linears = 0;  ///< that were to be compressed; 0: not known
  std::string error;         ///< the sentence that ended the run; empty: it finished
};

/// One HTML page of a run for a person who looks for what went wrong or is odd: the error on top,
/// the result, warnings, the oddest linears each with a sentence (find_oddities()), then pictures
/// and a table of all linears. It needs no other file, no network and no script; it is well-formed
/// XML too. Texts are escaped. Ends with a newline.
///
/// Each picture is a `<figure>` with one of these ids and an `<svg>`, or with a paragraph that says
/// why its figure is not known. Every cell, bar and dot has its numbers as a tooltip.
///
///     blocks x linears   output-error, damping, condition, dead-channels, massive-channels,
///                        activation-range, stored-bits, sparsity, seconds
///     block by block     stream-gap
///     linear by linear   damage (planned against reached)
///     in all             stages (seconds), parts (bytes)
///
/// Size: two to four kilobytes a linear.
[[nodiscard]] std::string record_page(const Record& record);

}  // namespace sgpt_mi::recorder
