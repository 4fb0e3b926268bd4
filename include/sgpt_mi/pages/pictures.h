#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/report/document.h"
#include "sgpt_mi/report/pareto.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/report/sweep_report.h"

namespace sgpt_mi::pages {

/// Heat maps and block structures of grouped sites, then bits and losses of all layers.
[[nodiscard]] std::vector<report::Picture> draw_pictures(
    const std::vector<compress::GroupPicture>& groups,
    const std::vector<report::LayerReport>& layers);

/// Adds perplexity against stored bits, unless there is no point.
void add_tradeoff(const std::vector<report::TradeoffPoint>& points, const std::string& model,
                  std::vector<report::Picture>& pictures);

/// Adds KL against bytes, with the points from elsewhere, unless no cell was scored.
void add_divergence(const report::SweepReport& sweep, std::vector<report::Picture>& pictures);

/// Writes one picture into `folder`, which is made when it is missing. Returns the file's name.
/// Throws Error(kInput) when it cannot be written.
[[nodiscard]] std::string write_picture(const std::string& folder, const std::string& name,
                                        const std::string& png);

/// Writes a document as `stem`.md, the page report.html and the pictures of all its sections into
/// `folder`, which is made when it is missing.
/// Throws Error(kInput) when the folder cannot be written.
void write_document(const std::string& folder, const std::string& stem,
                    const report::Document& document);

}  // namespace sgpt_mi::pages
