#include <gtest/gtest.h>

#include "emulated/twin_check.h"
#include "support/map_twins.h"

namespace sgpt_mi::test {
namespace {

/// Runs a comparison on the emulated device, in both orders of its threads.
void emulate(void (*compare)(TwinDevice)) {
  in_both_orders([&] { compare(host_device(emulated_backend())); });
}

TEST(EmulatedTwins, Correlate) { emulate(twins::correlate); }
TEST(EmulatedTwins, FindDegrees) { emulate(twins::find_degrees); }
TEST(EmulatedTwins, ScaleRows) { emulate(twins::scale_rows); }
TEST(EmulatedTwins, DequantizePacked) { emulate(twins::dequantize_packed); }
TEST(EmulatedTwins, DecodeLevels) { emulate(twins::decode_levels); }

}  // namespace
}  // namespace sgpt_mi::test
