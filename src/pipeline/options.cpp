#include "sgpt_mi/pipeline/options.h"

#include <algorithm>

#include "names.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::pipeline {
namespace {

constexpr Names<Method, 6> kMethods{{{"rd", Method::kRd},
                                     {"mi", Method::kMi},
                                     {"enhanced", Method::kEnhanced},
                                     {"toky", Method::kToky},
                                     {"sparsegpt", Method::kSparseGpt},
                                     {"magnitude", Method::kMagnitude}}};

constexpr Names<Sensitivity, 3> kSensitivities{{{"fisher", Sensitivity::kFisher},
                                                {"energy", Sensitivity::kEnergy},
                                                {"none", Sensitivity::kNone}}};

constexpr Names<ColumnOrder, 3> kColumnOrders{{{"natural", ColumnOrder::kNatural},
                                               {"hessian", ColumnOrder::kHessian},
                                               {"mi", ColumnOrder::kMi}}};

bool needs_widths(Method method) {
  return method == Method::kToky || method == Method::kEnhanced || method == Method::kMi;
}

void validate_widths(const CompressionSettings& settings) {
  const bool wanted = needs_widths(settings.method);
  ensure(wanted == settings.widths.has_value(),
         "pipeline: widths are set for a method without them, or missing");
  if (!wanted) return;
  settings.widths->validate();
  if (settings.matrix.groupsize != -1) {
    fail(ErrorKind::kUsage, "groupsize: {} contradicts method {}, which groups the columns itself",
         settings.matrix.groupsize, method_name(settings.method));
  }
}

}  // namespace

Method parse_method(const std::string& name) { return parse_name(kMethods, "method", name); }

std::string method_name(Method method) { return name_of(kMethods, method); }

Sensitivity parse_sensitivity(const std::string& name) {
  return parse_name(kSensitivities, "sensitivity", name);
}

std::string sensitivity_name(Sensitivity sensitivity) {
  return name_of(kSensitivities, sensitivity);
}

ColumnOrder parse_column_order(const std::string& name) {
  return parse_name(kColumnOrders, "column_order", name);
}

std::string column_order_name(ColumnOrder order) { return name_of(kColumnOrders, order); }

void PlanOptions::validate() const {
  widths.validate();
  if (windows < 1) fail(ErrorKind::kUsage, "plan_windows: {} is below 1", windows);
  if (check_windows < 0) fail(ErrorKind::kUsage, "plan_check: {} is negative", check_windows);
  if (!(sparsity_range >= 0.0 && sparsity_range < 1.0)) {
    fail(ErrorKind::kUsage, "sparsity_range: {:g} is not in [0, 1)", sparsity_range);
  }
}

MemoryCap parse_memory_cap(const std::string& text) {
  MemoryCap cap;
  if (text.empty()) return cap;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t colon = part.find(':');
    const std::string place = colon == std::string::npos ? "" : part.substr(0, colon);
    const bool known = place.empty() || place == "cuda" || place == "host" || place == "cpu";
    std::optional<std::int64_t>& target =
        place.empty() ? cap.compute : (place == "cuda" ? cap.device : cap.host);
    if (!known || target || (place.empty() && colon == 0)) {
      fail(ErrorKind::kUsage,
           "max_memory: '{}' is neither SIZE nor cuda:SIZE,host:SIZE, such as 20GiB", text);
    }
    target = parse_bytes(part.substr(colon == std::string::npos ? 0 : colon + 1));
    if (*target < 1) fail(ErrorKind::kUsage, "max_memory: '{}' allows nothing", text);
    begin = end + 1;
  }
  return cap;
}

void ModelOptions::validate() const {
  if (model.empty())
    fail(ErrorKind::kUsage, "MODEL is empty; give a folder, a GGUF file or a Hub id");
  if (threads < 0 || threads > 4096) {
    fail(ErrorKind::kUsage, "threads: {} is not in 0..4096 (0: automatic)", threads);
  }
}

void EvalOptions::validate() const {
  if (seqlen < 0 || seqlen == 1) {
    fail(ErrorKind::kUsage, "seqlen: {} is not 0 (automatic) or at least 2", seqlen);
  }
  if (max_windows < 0) fail(ErrorKind::kUsage, "eval_windows: {} is negative", max_windows);
}

bool LayerSelection::contains(std::int64_t layer, const std::string& linear) const {
  const bool inside =
      layer >= min_layer && layer < max_layer && linear.find(name_contains) != std::string::npos;
  return inside != invert;
}

void CompressionSettings::validate() const {
  matrix.validate();
  ensure(matrix.act_order == (column_order == ColumnOrder::kHessian),
         "pipeline: act_order is not what column_order says");
  if (column_order != ColumnOrder::kNatural && matrix.prune_m > 0) {
    fail(ErrorKind::kUsage,
         "column_order: {} with a pattern of {} zeros in every {}; the columns of a pattern must "
         "stay neighbours; give one of the two",
         column_order_name(column_order), matrix.prune_n, matrix.prune_m);
  }
  validate_widths(*this);
  if (!matrix.prunes() && !quantizes()) {
    fail(ErrorKind::kUsage,
         "nothing to do: sparsity is 0 and wbits is 16; give --sparsity, --pattern or --wbits");
  }
  if (selection.max_layer <= selection.min_layer) {
    fail(ErrorKind::kUsage, "maxlayer: {} is not above minlayer {}", selection.max_layer,
         selection.min_layer);
  }
  if (channel_scaling && !(*channel_scaling >= 0.0 && *channel_scaling <= 1.0)) {
    fail(ErrorKind::kUsage, "channel_scaling: {:g} is not in [0, 1]", *channel_scaling);
  }
  if (!(drift >= 0.0 && drift <= 1.0)) {
    fail(ErrorKind::kUsage, "drift: {:g} is not in [0, 1]", drift);
  }
  if (block_tuning < 0) fail(ErrorKind::kUsage, "block_tuning: {} is negative", block_tuning);
  ensure(true_sequential || !follows_dense(),
         "pipeline: the dense stream is followed in true-sequential runs only");
  ensure(plan.has_value() == (method == Method::kRd), "pipeline: only rd has a measured plan");
  if (plan) plan->validate();
  if (method == Method::kMagnitude && (matrix.refine.any() || drift > 0.0 || block_tuning > 0)) {
    fail(ErrorKind::kUsage,
         "method magnitude compensates nothing; leave out --drift, --l0_sweeps, --refit, --polish "
         "and --block_tuning, or use --method sparsegpt");
  }
  if (batch_windows < 0) fail(ErrorKind::kUsage, "batch_windows: {} is negative", batch_windows);
}

void CompressRun::validate() const {
  model.validate();
  compression.validate();
  eval.validate();
  if (calibration.dataset.empty()) fail(ErrorKind::kUsage, "DATASET is empty");
  if (calibration.nsamples < 1) {
    fail(ErrorKind::kUsage, "nsamples: {} is below 1", calibration.nsamples);
  }
}

void EvalRun::validate() const {
  model.validate();
  eval.validate();
  if (eval.sets.empty()) fail(ErrorKind::kUsage, "eval: no set to score; give --eval SET,SET");
}

}  // namespace sgpt_mi::pipeline
