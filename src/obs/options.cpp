#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::obs {
namespace {

void validate_pruning(const CompressOptions& options) {
  if (!(options.sparsity >= 0.0 && options.sparsity < 1.0)) {
    fail(ErrorKind::kUsage, "obs: sparsity is {}; expected a share of weights in [0, 1)",
         options.sparsity);
  }
  const bool no_pattern = options.prune_n == 0 && options.prune_m == 0;
  if (no_pattern) return;
  if (options.prune_n < 1 || options.prune_m <= options.prune_n) {
    fail(ErrorKind::kUsage,
         "obs: prune_n is {} and prune_m is {}; expected 1 <= prune_n < prune_m zeros in every "
         "prune_m weights, or both 0",
         options.prune_n, options.prune_m);
  }
  if (options.sparsity > 0.0) {
    fail(ErrorKind::kUsage,
         "obs: sparsity is {} beside {}, which fixes the sparsity; give one of the two",
         options.sparsity, options.pattern_text());
  }
  if (options.act_order) {
    fail(ErrorKind::kUsage,
         "obs: act_order is set with {}, whose columns must stay neighbours; give one of the two",
         options.pattern_text());
  }
}

void validate_quantization(const CompressOptions& options) {
  if (options.wbits != 16 && (options.wbits < 2 || options.wbits > 8)) {
    fail(ErrorKind::kUsage, "obs: wbits is {}; expected 2 to 8, or 16 for no quantization",
         options.wbits);
  }
  if (options.groupsize != -1 && options.groupsize < 1) {
    fail(ErrorKind::kUsage,
         "obs: groupsize is {}; expected a positive number of columns, or -1 for whole rows",
         options.groupsize);
  }
  if (options.block_type != nullptr && (options.act_order || options.groupsize != -1)) {
    fail(ErrorKind::kUsage,
         "obs: {} with blocks of {}, whose columns are neighbours in groups of {}; leave it out",
         options.act_order ? "act_order" : "groupsize", options.block_type->name,
         options.block_type->group);
  }
  if (options.groups && options.groupsize != -1) {
    fail(ErrorKind::kUsage,
         "obs: groupsize is {} and the columns are grouped by a plan; give one of the two",
         options.groupsize);
  }
  const bool fits_along_the_way =
      options.quantizes() && options.groupsize != -1 && !options.static_groups;
  if (fits_along_the_way && options.prune_m > 0 && options.groupsize % options.prune_m != 0) {
    fail(ErrorKind::kUsage,
         "obs: groupsize is {} with {}, which must lie in one group; choose a multiple of {}, or "
         "set static_groups",
         options.groupsize, options.pattern_text(), options.prune_m);
  }
}

void validate_refinement(const RefineOptions& refine) {
  const auto check = [](std::int64_t count, const char* what) {
    if (count >= 0 && count <= 1000) return;
    fail(ErrorKind::kUsage, "obs: {} is {}; expected 0 to 1000", what, count);
  };
  check(refine.l0_sweeps, "l0_sweeps");
  check(refine.refit_iterations, "refit");
  check(refine.polish_sweeps, "polish");
}

}  // namespace

void CompressOptions::validate() const {
  validate_pruning(*this);
  validate_quantization(*this);
  validate_refinement(refine);
  if (!(percdamp > 0.0 && percdamp <= 1.0)) {
    fail(ErrorKind::kUsage, "obs: percdamp is {}; expected a share of mean(diag H) in (0, 1]",
         percdamp);
  }
  if (blocksize < 1) {
    fail(ErrorKind::kUsage, "obs: blocksize is {}; expected a positive number of columns",
         blocksize);
  }
}

std::string CompressOptions::pattern_text() const {
  const std::string name = pattern_typed.empty()
                               ? fmt::format("the pattern {}:{}", prune_m - prune_n, prune_m)
                               : pattern_typed;
  return fmt::format("{} ({} of every {} weights {} zero)", name, prune_n, prune_m,
                     prune_n == 1 ? "is" : "are");
}

void CompressOptions::validate_for(const std::string& name, std::int64_t columns) const {
  if (prune_m > 0 && columns % prune_m != 0) {
    fail(ErrorKind::kUsage,
         "obs: {} has {} columns, which are not whole tuples of {}; choose another pattern, "
         "or leave the layer out",
         name, columns, pattern_text());
  }
  if (block_type != nullptr && columns % block_type->block_elements != 0) {
    fail(ErrorKind::kUsage,
         "obs: {} has {} columns, which blocks of {} do not divide; choose a type of blocks of 32",
         name, columns, block_type->block_elements);
  }
}

}  // namespace sgpt_mi::obs
