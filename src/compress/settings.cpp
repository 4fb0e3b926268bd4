#include "sgpt_mi/compress/settings.h"

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::compress {
namespace {

constexpr Names<Method, 6> kMethods{{{"rd", Method::kRd},
                                     {"mi", Method::kMi},
                                     {"enhanced", Method::kEnhanced},
                                     {"toky", Method::kToky},
                                     {"sparsegpt", Method::kSparseGpt},
                                     {"magnitude", Method::kMagnitude}}};

void validate_widths(const CompressionSettings& settings) {
  const bool wanted = has_widths(settings.method);
  ensure(wanted == settings.widths.has_value(),
         "compress: widths are set for a method without them, or missing");
  if (!wanted) return;
  settings.widths->validate();
  if (settings.matrix.groupsize != -1) {
    fail(ErrorKind::kUsage, "groupsize: {} contradicts method {}, which groups the columns itself",
         settings.matrix.groupsize, method_name(settings.method));
  }
}

}  // namespace

Method parse_method(const std::string& name) { return parse_name(kMethods, "method", name); }

bool has_widths(Method method) {
  return method == Method::kToky || method == Method::kEnhanced || method == Method::kMi;
}

std::string method_name(Method method) { return name_of(kMethods, method); }

const widths::WidthTarget* CompressionSettings::width_target() const {
  if (plan && quantizes()) return &plan->widths.target;
  return widths ? &widths->target : nullptr;
}

void CompressionSettings::validate() const {
  matrix.validate();
  validate_widths(*this);
  if (!matrix.prunes() && !quantizes()) {
    fail(ErrorKind::kUsage,
         "nothing to do: sparsity is 0 and wbits is 16; give --sparsity, --pattern, "
         "--wbits, --target_bytes or --target_stored_bits");
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
  if (tune < 0 || tune == 1) {
    fail(ErrorKind::kUsage,
         "tune: {} windows; expected 0, or at least 2: some are kept apart to judge the result",
         tune);
  }
  ensure(true_sequential || !follows_dense(),
         "compress: the dense stream is followed in true-sequential runs only");
  ensure(plan.has_value() == (method == Method::kRd), "compress: only rd has a measured plan");
  if (plan) plan->validate();
  if (method == Method::kMagnitude && (matrix.refine.any() || drift > 0.0)) {
    fail(ErrorKind::kUsage,
         "method magnitude compensates nothing; leave out --drift, --l0_sweeps, --refit and "
         "--polish, or use --method sparsegpt");
  }
  if (batch_windows < 0) fail(ErrorKind::kUsage, "batch_windows: {} is negative", batch_windows);
}

}  // namespace sgpt_mi::compress
