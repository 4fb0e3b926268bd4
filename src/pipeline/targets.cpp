#include "targets.h"

#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "format_fit.h"
#include "sgpt_mi/pages/pictures.h"
#include "sgpt_mi/planning/rd_measure.h"
#include "sgpt_mi/planning/rd_plan.h"
#include "sgpt_mi/plots/plots.h"

namespace sgpt_mi::pipeline {
namespace {

constexpr double kMegabyte = 1e6;

/// Writes a picture of the plan when --plots asks for it, and says where.
void tell_picture(const CompressRun& run, const std::string& name,
                  const std::vector<plots::SizeCurve>& curves, const std::string& size,
                  report::Events& events) {
  if (run.plots_dir.empty()) return;
  const std::string png = plots::damage_vs_size_png(curves, size, "Predicted damage by size");
  events.plan("picture    " + pages::write_picture(run.plots_dir, name, png));
}

/// Predicted damage against the size of the file, for the whole range of block types.
void tell_sizes(const CompressRun& run, const planning::Measurements& measurements,
                const Session& session, report::Events& events) {
  const formats::SavedTypes types = saved_types(session, run.compression);
  const std::int64_t around = bytes_without(measurements, run.compression, session, types);
  plots::SizeCurve curve{"best plans of block types", {}};
  events.plan("sizes      best plans for the whole range, as measured");
  events.plan("           file bytes      bits a weight  predicted damage, nats a token");
  const auto weights = static_cast<double>(planning::all_weights(measurements));
  for (const planning::TypedSize& size : planning::typed_sizes(measurements)) {
    const std::int64_t bytes = around + size.bits / 8;
    curve.points.push_back({static_cast<double>(bytes) / kMegabyte, size.damage});
    events.plan(fmt::format("           {:14}  {:13.3f}  {:16.6f}", bytes,
                            static_cast<double>(size.bits) / weights, size.damage));
  }
  tell_picture(run, "damage_vs_bytes.png", {std::move(curve)}, "file size, MB", events);
}

/// Predicted damage against size, and what asking for zeros costs.
void tell_levels(const CompressRun& run, const planning::Measurements& measurements,
                 report::Events& events) {
  plots::SizeCurve as_they_come{"zeros as they come", {}};
  plots::SizeCurve half{"half of the weights zero", {}};
  events.plan(fmt::format("targets    from {}: predicted damage, nats a token",
                          run.compression.plan->measurements));
  events.plan("           stored bits   zeros as they come   half of the weights zero");
  for (const planning::LevelTarget& target :
       planning::level_targets(measurements, run.compression.goal())) {
    as_they_come.points.push_back({target.stored_bits, target.damage});
    if (target.damage_at_half) half.points.push_back({target.stored_bits, *target.damage_at_half});
    events.plan(fmt::format(
        "           {:11.1f}   {:18.6f}   {:>24}", target.stored_bits, target.damage,
        target.damage_at_half ? fmt::format("{:.6f}", *target.damage_at_half) : "not measured"));
  }
  std::vector<plots::SizeCurve> curves{std::move(as_they_come)};
  if (!half.points.empty()) curves.push_back(std::move(half));
  tell_picture(run, "damage_vs_stored_bits.png", curves, "stored bits a weight", events);
}

}  // namespace

void tell_targets(const CompressRun& run, const Session& session, report::Events& events) {
  const compress::CompressionSettings& settings = run.compression;
  const std::string& path = settings.plan->measurements;
  if (path.empty() || !std::filesystem::exists(path)) return;
  const planning::Measurements measurements = planning::read_measurements(path);
  if (run.compression.types) return tell_sizes(run, measurements, session, events);
  if (run.compression.entropy) return tell_levels(run, measurements, events);
  events.plan(fmt::format("targets    from {}; no other target is better in both columns", path));
  events.plan("           stored bits  sparsity  code bits  predicted damage");
  for (const planning::PlanPoint& point : planning::pareto_targets(measurements, settings.goal())) {
    events.plan(fmt::format("           {:11.3f}  {:8.2f}  {:9.2f}  {:16.6f}", point.stored_bits,
                            point.sparsity, point.code_bits, point.damage));
  }
}

}  // namespace sgpt_mi::pipeline
