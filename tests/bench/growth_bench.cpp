// growth_bench N [ROWS]: one layer of N columns (256 rows unless given) from inputs to codes, once.
// Prints one line of JSON: the seconds of its stages and the most memory that the process had.
// scripts/time_growth.py runs it for a range of N and fits exponents.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"
#include "support/random_tensor.h"

namespace sgpt_mi {
namespace {

constexpr std::int64_t kTokens = 1024;

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - began_).count();
    began_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

void run(std::int64_t columns, std::int64_t rows) {
  const torch::Tensor weight = test::normal(rows, columns, 1);
  const torch::Tensor x = test::normal(kTokens, columns, 2).unsqueeze(0);
  obs::CompressOptions options;
  options.sparsity = 0.5;
  options.wbits = 4;
  options.percdamp = 0.1;  // there may be fewer tokens than columns
  Stopwatch watch;
  calib::StatsAccumulator sums("bench", columns, torch::kCPU);
  sums.add(x);
  const torch::Tensor hessian = sums.finish().hessian();
  const double moment = watch.lap();
  const obs::PreparedInput input = obs::prepare_input(hessian, options, "bench");
  const double factor = watch.lap();
  const obs::CompressResult result = obs::compress_sparsegpt(weight, input, options, "bench");
  const double obs = watch.lap();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("{\"moment\": %.6f, \"factor\": %.6f, \"obs\": %.6f, \"peak_bytes\": %lld}\n", moment,
              factor, obs, static_cast<long long>(usage.ru_maxrss) * 1024);
}

}  // namespace
}  // namespace sgpt_mi

int main(int argc, char** argv) {
  const long long columns = argc > 1 ? std::atoll(argv[1]) : 0;
  const long long rows = argc > 2 ? std::atoll(argv[2]) : 256;
  if (columns < 1 || rows < 1) {
    std::fprintf(stderr, "usage: growth_bench N [ROWS]\n");
    return 2;
  }
  try {
    sgpt_mi::run(columns, rows);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "growth_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
