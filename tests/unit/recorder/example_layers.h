#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::recorder {

/// Blocks of two linears that hardly differ.
inline std::vector<report::LayerReport> usual_layers(int blocks) {
  std::vector<report::LayerReport> layers;
  for (int block = 0; block < blocks; ++block) {
    for (const char* kind : {"q_proj", "fc1"}) {
      report::LayerReport& layer = layers.emplace_back();
      layer.name = "model.layers." + std::to_string(block) + "." + kind;
      layer.rows = 64;
      layer.columns = 64;
      layer.output_error = 0.01 + 0.0001 * block;
      layer.sparsity = 0.5;
      layer.average_bits = layer.stored_bits = 3.0;
      layer.damping = 0.01;
      layer.damping_steps = {{0.01, false, true, 1e-6}};
      layer.condition = 500.0;
      layer.activation_max = 4.0;
      layer.stream_gap = 0.02;
      layer.planned_damage = 0.001;
      layer.reached_damage = 0.0012;
      layer.calibration_tokens = 1000;
      layer.seconds = 0.1;
    }
  }
  return layers;
}

}  // namespace sgpt_mi::recorder
