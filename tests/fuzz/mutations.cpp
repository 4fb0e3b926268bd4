// Drives a fuzz target (LLVMFuzzerTestOneInput) without libFuzzer, for builds of other compilers:
//
//   TARGET_mutations --seeds FOLDER [--runs N] [--seed S] [--only INDEX]
//
// Each input is a file of FOLDER that was changed in a few places. What input INDEX is follows from
// the folder, S and INDEX alone. Ends the process, after a line that says how to repeat it, at a
// crash, at an input that takes longer than kSeconds, and at a single allocation above
// SGPT_MI_LEAST_BOUND_MB plus kBytesAByte for every byte of the input.
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

// Of the sanitizer's run time; gcc ships the library without this header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*,
                                                                             std::size_t),
                                                         void (*free_hook)(const volatile void*));

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Random = std::mt19937_64;

constexpr unsigned kSeconds = 10;
constexpr std::size_t kBytesAByte = 64;
constexpr std::size_t kLongest = std::size_t{1} << 18;
constexpr std::size_t kLeastBound = std::size_t{SGPT_MI_LEAST_BOUND_MB} << 20;

std::size_t g_bound = std::numeric_limits<std::size_t>::max();
unsigned long g_seed = 0;
unsigned long g_index = 0;

/// Only calls that a signal may interrupt, but for snprintf, which allocates nothing here.
void say_where() {
  std::array<char, 120> line{};
  const int length =
      std::snprintf(line.data(), line.size(), "mutations: failed; again by --seed %lu --only %lu\n",
                    g_seed, g_index);
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(length));
}

void check_allocation(const volatile void* /*block*/, std::size_t bytes) {
  if (bytes <= g_bound) return;
  std::fprintf(stderr, "mutations: an allocation of %zu bytes, more than %zu\n", bytes, g_bound);
  g_bound = std::numeric_limits<std::size_t>::max();
  __sanitizer_print_stack_trace();
  std::abort();
}

void on_abort(int signal) {
  say_where();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void on_alarm(int /*signal*/) {
  constexpr char kText[] = "mutations: an input takes too long\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText, sizeof(kText) - 1);
  std::abort();
}

std::size_t draw(Random& random, std::size_t below) {
  return below == 0 ? 0 : static_cast<std::size_t>(random() % below);
}

/// Numbers at which readers of lengths, offsets and counts go wrong.
std::uint64_t odd_number(Random& random, std::size_t size) {
  const std::array<std::uint64_t, 14> numbers{0,
                                              1,
                                              2,
                                              0x7f,
                                              0x80,
                                              0xff,
                                              0x7fff,
                                              0xffff,
                                              0x7fffffff,
                                              0x80000000,
                                              0xffffffff,
                                              0x7fffffffffffffff,
                                              0x8000000000000000,
                                              ~std::uint64_t{0}};
  const std::size_t chosen = draw(random, numbers.size() + 2);
  return chosen < numbers.size() ? numbers[chosen] : size + draw(random, 17) - 8;
}

void set_number(std::string& bytes, Random& random) {
  const std::size_t width = std::size_t{1} << draw(random, 4);
  if (bytes.size() < width) return;
  const std::uint64_t value = odd_number(random, bytes.size());
  const std::size_t at = draw(random, bytes.size() - width + 1);
  for (std::size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

/// Puts another number in the place of a decimal one.
void set_decimal(std::string& bytes, Random& random) {
  constexpr std::array<const char*, 12> kNumbers{"0",
                                                 "-1",
                                                 "1",
                                                 "1e308",
                                                 "-1e999",
                                                 "0.1",
                                                 "9223372036854775807",
                                                 "18446744073709551616",
                                                 "4294967296",
                                                 "null",
                                                 "\"a\"",
                                                 "[]"};
  const std::size_t from = draw(random, bytes.size());
  const std::size_t begin = bytes.find_first_of("0123456789", from);
  if (begin == std::string::npos) return;
  const std::size_t end = std::min(bytes.find_first_not_of("0123456789", begin), bytes.size());
  bytes.replace(begin, end - begin, kNumbers[draw(random, kNumbers.size())]);
}

void insert_text(std::string& bytes, Random& random) {
  constexpr std::array<const char*, 10> kTexts{
      "\"", "{", "}", "[", "]", "\\ud800", "\xff", "(?:a+)+$", "\xE2\x96", ",\"a\":"};
  const std::size_t nested = draw(random, 200) == 0 ? 50'000 : 1 + draw(random, 3);
  std::string text;
  const char* chosen = kTexts[draw(random, kTexts.size())];
  for (std::size_t i = 0; i < nested; ++i) text += chosen;
  bytes.insert(draw(random, bytes.size() + 1), text);
}

/// Moves, repeats or drops a stretch, or takes one of another seed.
void move_stretch(std::string& bytes, const std::vector<std::string>& seeds, Random& random) {
  if (bytes.empty()) return;
  const std::string& other = draw(random, 2) == 0 ? bytes : seeds[draw(random, seeds.size())];
  if (other.empty()) return;
  const std::size_t from = draw(random, other.size());
  const std::string part =
      other.substr(from, 1 + draw(random, std::min<std::size_t>(other.size() - from, 64)));
  const std::size_t at = draw(random, bytes.size());
  switch (draw(random, 3)) {
    case 0:
      bytes.insert(at, part);
      break;
    case 1:
      bytes.replace(at, part.size(), part);
      break;
    default:
      bytes.erase(at, part.size());
  }
}

void mutate(std::string& bytes, const std::vector<std::string>& seeds, Random& random) {
  switch (draw(random, 8)) {
    case 0:
      if (!bytes.empty())
        bytes[draw(random, bytes.size())] ^= static_cast<char>(1U << draw(random, 8));
      break;
    case 1:
      if (!bytes.empty()) bytes[draw(random, bytes.size())] = static_cast<char>(random());
      break;
    case 2:
      set_number(bytes, random);
      break;
    case 3:
      set_decimal(bytes, random);
      break;
    case 4:
      insert_text(bytes, random);
      break;
    case 5:
      if (draw(random, 4) == 0) bytes.resize(draw(random, bytes.size() + 1));
      break;
    default:
      move_stretch(bytes, seeds, random);
  }
}

std::string input_of(const std::vector<std::string>& seeds, unsigned long seed,
                     unsigned long index) {
  Random random((seed << 32) ^ index);
  random.discard(16);
  std::string bytes = seeds[draw(random, seeds.size())];
  const std::size_t changes = 1 + draw(random, 6);
  for (std::size_t i = 0; i < changes; ++i) mutate(bytes, seeds, random);
  bytes.resize(std::min(bytes.size(), kLongest));
  return bytes;
}

/// The files of a folder, by name.
std::vector<std::string> read_seeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const auto& path : paths) {
    std::ifstream stream(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return seeds;
}

void run(const std::string& bytes) {
  g_bound = kLeastBound + kBytesAByte * bytes.size();
  ::alarm(kSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  ::alarm(0);
  g_bound = std::numeric_limits<std::size_t>::max();
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  unsigned long runs = 100;
  long only = -1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--seeds") folder = argv[i + 1];
    if (flag == "--runs") runs = std::strtoul(argv[i + 1], nullptr, 10);
    if (flag == "--seed") g_seed = std::strtoul(argv[i + 1], nullptr, 10);
    if (flag == "--only") only = std::strtol(argv[i + 1], nullptr, 10);
  }
  const std::vector<std::string> seeds = read_seeds(folder);
  if (seeds.empty()) return 2;
  ::signal(SIGABRT, on_abort);
  ::signal(SIGALRM, on_alarm);
  __sanitizer_set_death_callback(say_where);
  __sanitizer_install_malloc_and_free_hooks(check_allocation, [](const volatile void*) {});
  for (const std::string& seed : seeds) run(seed);
  const unsigned long begin = only < 0 ? 0 : static_cast<unsigned long>(only);
  const unsigned long end = only < 0 ? runs : begin + 1;
  for (g_index = begin; g_index < end; ++g_index) run(input_of(seeds, g_seed, g_index));
  std::printf("%lu inputs from %zu seeds\n", end - begin, seeds.size());
  return 0;
}
