#include "sgpt_mi/pages/pictures.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/plots/plots.h"

namespace sgpt_mi::pages {
namespace {

/// "model.layers.0.self_attn.q_proj" -> "layers_0_self_attn_q_proj".
std::string file_stem(const std::string& linear) {
  const std::size_t layers = linear.find("layers.");
  std::string stem = layers == std::string::npos ? linear : linear.substr(layers);
  std::replace(stem.begin(), stem.end(), '.', '_');
  return stem;
}

void draw_groups(const compress::GroupPicture& group, std::vector<report::Picture>& pictures) {
  const std::vector<std::int64_t> labels(group.labels.begin(), group.labels.end());
  const torch::Tensor host = group.affinity.to(torch::kCPU).contiguous();
  plots::GroupedMatrix matrix;
  matrix.title = group.name;
  matrix.unit = "normalised MI";
  matrix.channels = host.size(0);
  matrix.values = {host.const_data_ptr<float>(), static_cast<std::size_t>(host.numel())};
  matrix.labels = labels;
  const std::string stem = file_stem(group.name);
  pictures.push_back({"mi_matrix_" + stem + ".png",
                      "Normalised mutual information of the input channels of " + group.name +
                          ", ordered by group.",
                      plots::mi_matrix_png(matrix)});
  pictures.push_back(
      {"grouping_result_" + stem + ".png",
       "Groups of the input channels of " + group.name + " and the width of each in bits.",
       plots::grouping_result_png(matrix, group.bits)});
}

void make_plots_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    fail(ErrorKind::kInput, "plots: the folder {} cannot be made: {}", folder, error.message());
  }
}

}  // namespace

std::vector<report::Picture> draw_pictures(const std::vector<compress::GroupPicture>& groups,
                                           const std::vector<report::LayerReport>& layers) {
  std::vector<report::Picture> pictures;
  for (const compress::GroupPicture& group : groups) draw_groups(group, pictures);
  if (layers.empty()) return pictures;
  pictures.push_back({"bits_per_layer.png", "Average code bits a weight of every linear.",
                      plots::bits_per_layer_png(layers)});
  pictures.push_back({"loss_per_layer.png", "Compression loss of every linear.",
                      plots::loss_per_layer_png(layers)});
  return pictures;
}

void add_tradeoff(const std::vector<report::TradeoffPoint>& points, const std::string& model,
                  std::vector<report::Picture>& pictures) {
  if (points.empty()) return;
  pictures.push_back({"ppl_vs_stored_bits.png",
                      "Perplexity (geometric mean of the sets) against stored bits a weight.",
                      plots::tradeoff_png(points, {"stored bits a weight", "perplexity"}, model)});
}

void add_divergence(const report::SweepReport& sweep, std::vector<report::Picture>& pictures) {
  const std::vector<report::TradeoffPoint> points = report::kl_points(sweep);
  if (points.empty()) return;
  const std::string set = report::kl_set(sweep);
  std::string caption = "KL to the dense model on " + set + " against the bytes of the model.";
  if (sweep.beside) caption += " Grey: not ours, " + sweep.beside->source;
  pictures.push_back(
      {"kl_vs_bytes.png", std::move(caption),
       plots::tradeoff_png(points, {"model, MB", "KL on " + set + ", nats a token"}, sweep.model)});
}

std::string write_picture(const std::string& folder, const std::string& name,
                          const std::string& png) {
  make_plots_folder(folder);
  const std::filesystem::path file = std::filesystem::path(folder) / name;
  io::write_file_atomic(file, png);
  return file.string();
}

void write_document(const std::string& folder, const std::string& stem,
                    const report::Document& document) {
  make_plots_folder(folder);
  const std::filesystem::path place(folder);
  for (const report::Section& section : document.sections) {
    for (const report::Picture& picture : section.pictures) {
      io::write_file_atomic(place / picture.file_name, picture.png);
    }
  }
  io::write_file_atomic(place / (stem + ".md"), report::to_markdown(document));
  io::write_file_atomic(place / "report.html", report::to_html(document));
}

}  // namespace sgpt_mi::pages
