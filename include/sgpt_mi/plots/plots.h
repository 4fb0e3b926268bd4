#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/report/pareto.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::plots {

/// Pictures, drawn by PLplot without a display. Each function returns a PNG file's bytes (8 bits a
/// channel, RGB). The same input gives the same bytes on one machine. PLplot keeps global state:
/// calls from several threads run one after the other.
/// All throw Error(kInput) when PLplot's cairo driver is not installed, Error(kInternal) when
/// PLplot refuses a call.

/// How strongly pairs of channels are related, and to which group each channel belongs.
struct GroupedMatrix {
  std::string title;                     ///< e.g. the linear's name
  std::string unit;                      ///< of the values: "normalised MI", "nats"
  std::int64_t channels = 0;             ///< n, at least 1
  std::span<const float> values;         ///< (n, n), symmetric, row-major; finite
  std::span<const std::int64_t> labels;  ///< (n) the channel's group, 0-based
};

/// The matrix as a heat map with the channels ordered by group, group borders drawn, the groups'
/// numbers above, and a colour bar with the unit. The diagonal is left white: a channel's relation
/// to itself says nothing. The scale ends at the 99.5th percentile of the drawn cells, which the
/// colour bar says, so that a few near-copies do not hide the rest. More than 600 channels are
/// averaged down to 600 cells a side.
/// Throws Error(kInternal) when the extents disagree, a label is negative or a value is not finite.
/// O(n^2) time, 3 MB beside the picture.
[[nodiscard]] std::string mi_matrix_png(const GroupedMatrix& matrix);

/// The block structure: the matrix of mi_matrix_png() in grey, every group's diagonal block in the
/// colour of its width and marked with it where there is room; a key names the widths with their
/// numbers of channels. group_bits: the width of group 0, 1, ...; as mi_matrix_png() otherwise.
[[nodiscard]] std::string grouping_result_png(const GroupedMatrix& matrix,
                                              std::span<const int> group_bits);

/// Average code bits of every linear as bars: blocks along the x axis (the first number in the
/// name), one colour a kind of linear (the last part of the name). At least one layer.
[[nodiscard]] std::string bits_per_layer_png(std::span<const report::LayerReport> layers);

/// Compression loss of every linear, in blocks and kinds as above, as one line a kind. The scale is
/// logarithmic when the losses span more than a factor of 20; zero losses are then left out, and
/// the title says how many.
[[nodiscard]] std::string loss_per_layer_png(std::span<const report::LayerReport> layers);

/// The names of the axes of a picture of report::TradeoffPoint, with units.
struct TradeoffAxes {
  std::string size;
  std::string cost;
};

/// Cost against size. Points carry numbers that a key explains, and error bars of one standard
/// error; the Pareto front is a line through filled points. With more than 24 points at most 24 of
/// the front are numbered. Points from elsewhere (TradeoffPoint::beside) are grey squares, all
/// numbered and never on the front. The axis of costs is logarithmic beyond a factor of 20. At
/// least one point, all finite, costs positive.
[[nodiscard]] std::string tradeoff_png(std::span<const report::TradeoffPoint> points,
                                       const TradeoffAxes& axes, const std::string& title);

/// A size that a model can have, and what it is predicted to cost.
struct SizePoint {
  double size = 0.0;
  double damage = 0.0;  ///< nats a token, above 0
};

/// Sizes in ascending order, with a name for the key.
struct SizeCurve {
  std::string name;
  std::vector<SizePoint> points;
};

/// Predicted damage, on a logarithmic axis, against size: a line through the points of every curve,
/// and a key. At least one point. `size`: the name of the x axis, with its unit.
[[nodiscard]] std::string damage_vs_size_png(std::span<const SizeCurve> curves,
                                             const std::string& size, const std::string& title);

}  // namespace sgpt_mi::plots
