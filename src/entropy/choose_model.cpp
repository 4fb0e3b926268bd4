#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "level_model.h"

namespace sgpt_mi::entropy {
namespace {

constexpr double kLabelsPerOctave = 4.0;
constexpr double kMedianLabel = 8.0;
constexpr std::size_t kSums = kMostBase + 1;
constexpr std::size_t kPairs = std::size_t{kLabels} * kLabels;

/// The mean size of a level by row and by column.
struct MeanSizes {
  std::vector<double> row;
  std::vector<double> column;
};

MeanSizes mean_sizes(std::span<const std::int16_t> levels, std::size_t rows, std::size_t columns) {
  MeanSizes means;
  std::vector<std::int64_t> column_sum(columns);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::int16_t* row = levels.data() + r * columns;
    std::int64_t sum = 0;
    for (std::size_t j = 0; j < columns; ++j) {
      const int size = std::abs(+row[j]);
      sum += size;
      column_sum[j] += size;
    }
    means.row.push_back(static_cast<double>(sum) / static_cast<double>(columns));
  }
  for (const std::int64_t sum : column_sum) {
    means.column.push_back(static_cast<double>(sum) / static_cast<double>(rows));
  }
  return means;
}

/// Labels a quarter of an octave apart, the median's in the middle.
std::vector<std::uint8_t> labels_of(const std::vector<double>& means) {
  std::vector<double> sorted = means;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const double median = *middle > 0.0 ? *middle : 1.0;
  std::vector<std::uint8_t> labels;
  for (const double mean : means) {
    const double octaves = mean > 0.0 ? std::log2(mean / median) : -kLabels;
    const double label = std::nearbyint(kLabelsPerOctave * octaves) + kMedianLabel;
    labels.push_back(static_cast<std::uint8_t>(std::clamp(label, 0.0, kLabels - 1.0)));
  }
  return labels;
}

/// Symbols by label of row and column.
std::vector<Histogram> pair_histograms(std::span<const std::int16_t> levels,
                                       const std::vector<std::uint8_t>& row_label,
                                       const std::vector<std::uint8_t>& column_label) {
  std::vector<Histogram> pairs(kPairs);
  const std::size_t columns = column_label.size();
  for (std::size_t r = 0; r < row_label.size(); ++r) {
    const std::int16_t* row = levels.data() + r * columns;
    Histogram* of_row = pairs.data() + row_label[r] * std::size_t{kLabels};
    for (std::size_t j = 0; j < columns; ++j) ++of_row[column_label[j]][symbol_index(row[j])];
  }
  return pairs;
}

/// How labels are made from those a quarter of an octave apart.
struct LabelRule {
  int row_step = 0;  ///< label / this; 0: no labels
  int column_step = 0;
};

std::size_t label_by(int step, std::size_t label) {
  return step == 0 ? 0 : label / static_cast<std::size_t>(step);
}

void add(const Histogram& from, Histogram& to) {
  for (std::size_t i = 0; i < kSymbols; ++i) to[i] += from[i];
}

/// An estimate of what a table and the levels that it codes take, but for the escaped words, which
/// are the same for every rule.
double estimated_bits(const Histogram& histogram) {
  constexpr double kSymbolBits = 6.0;  // of a frequency in the table
  double total = 0.0;
  double bits = 24.0;
  for (const std::uint64_t count : histogram) {
    if (count == 0) continue;
    const auto n = static_cast<double>(count);
    total += n;
    bits += kSymbolBits - n * std::log2(n);
  }
  return total == 0.0 ? 0.0 : bits + total * std::log2(total);
}

/// The sums of labels that have a table of their own: first .. last; sums beyond have the next one.
struct TableRange {
  std::size_t first = 0;
  std::size_t last = 0;
  double bits = std::numeric_limits<double>::infinity();
};

TableRange best_range(const std::vector<Histogram>& by_sum) {
  std::vector<double> alone(kSums);
  std::vector<double> up_to(kSums);
  std::vector<double> from(kSums);
  Histogram low{};
  Histogram high{};
  for (std::size_t s = 0; s < kSums; ++s) {
    alone[s] = estimated_bits(by_sum[s]);
    add(by_sum[s], low);
    up_to[s] = estimated_bits(low);
    add(by_sum[kSums - 1 - s], high);
    from[kSums - 1 - s] = estimated_bits(high);
  }
  TableRange best{0, 0, estimated_bits(low)};
  for (std::size_t first = 0; first < kSums; ++first) {
    double bits = up_to[first];
    for (std::size_t last = first + 1; last < std::min(kSums, first + kernels::kMostLevelTables);
         ++last) {
      if (bits + from[last] < best.bits) best = {first, last, bits + from[last]};
      bits += alone[last];
    }
  }
  return best;
}

/// Labels by a rule, the smallest of them 0.
std::vector<std::uint8_t> relabelled(const std::vector<std::uint8_t>& labels, int step) {
  std::vector<std::uint8_t> result;
  result.reserve(labels.size());
  for (const std::uint8_t label : labels) {
    result.push_back(static_cast<std::uint8_t>(label_by(step, label)));
  }
  const std::uint8_t least = *std::min_element(result.begin(), result.end());
  for (std::uint8_t& label : result) label = static_cast<std::uint8_t>(label - least);
  return result;
}

std::vector<Histogram> histograms_by_sum(const std::vector<Histogram>& pairs, LabelRule rule) {
  std::vector<Histogram> by_sum(kSums);
  for (std::size_t pair = 0; pair < kPairs; ++pair) {
    add(pairs[pair], by_sum[label_by(rule.row_step, pair / kLabels) +
                            label_by(rule.column_step, pair % kLabels)]);
  }
  return by_sum;
}

}  // namespace

LevelModel choose_model(std::span<const std::int16_t> levels, std::int64_t rows,
                        std::int64_t columns) {
  const MeanSizes means =
      mean_sizes(levels, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns));
  const std::vector<std::uint8_t> row_label = labels_of(means.row);
  const std::vector<std::uint8_t> column_label = labels_of(means.column);
  const std::vector<Histogram> pairs = pair_histograms(levels, row_label, column_label);
  LabelRule best_rule;
  TableRange best;
  for (const LabelRule rule : {LabelRule{0, 0}, {1, 0}, {0, 1}, {1, 1}, {2, 0}, {0, 2}, {2, 2}}) {
    TableRange range = best_range(histograms_by_sum(pairs, rule));
    range.bits += label_bits(relabelled(row_label, rule.row_step)) +
                  label_bits(relabelled(column_label, rule.column_step));
    if (range.bits >= best.bits) continue;
    best = range;
    best_rule = rule;
  }
  LevelModel model;
  model.row_label = relabelled(row_label, best_rule.row_step);
  model.column_label = relabelled(column_label, best_rule.column_step);
  const std::size_t least =
      label_by(best_rule.row_step, *std::min_element(row_label.begin(), row_label.end())) +
      label_by(best_rule.column_step, *std::min_element(column_label.begin(), column_label.end()));
  best.first = std::max(best.first, least);
  best.last = std::max(best.last, best.first);
  model.base = static_cast<int>(best.first - least);
  const std::vector<Histogram> by_sum = histograms_by_sum(pairs, best_rule);
  std::vector<Histogram> of_table(best.last - best.first + 1);
  for (std::size_t s = 0; s < kSums; ++s) {
    add(by_sum[s], of_table[std::clamp(s, best.first, best.last) - best.first]);
  }
  for (const Histogram& histogram : of_table) model.tables.push_back(fit_table(histogram));
  return model;
}

}  // namespace sgpt_mi::entropy
