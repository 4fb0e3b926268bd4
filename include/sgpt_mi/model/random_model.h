#pragma once

#include <string>

#include "sgpt_mi/formats/checkpoint.h"

namespace sgpt_mi::model {

/// A model with random weights that takes no room on disk: for measuring time and memory in the
/// shape of a model that is not at hand. It predicts nothing.
///
/// Matrices are independent values i * 2^-13 with i the sum of four uniform bytes less its mean, so
/// bell-shaped with standard deviation 0.018 (published models start from 0.02) and exact in
/// float16; the weights of norms are 1, biases 0. A tensor's values depend on its name and shape
/// only: the same at every call and on every machine. Tensors are made when they are read, in
/// float16, at about 1 ns an element and thread.
///
/// \param shape  the name of a published model ("opt-125m", "llama-7b", "vicuna-13b", ...), or a
///               folder with a config.json.
/// \return location.path "random:SHAPE" and location.is_random; no vocabulary.
/// \throws Error(kUsage) listing the names when there is no such shape, Error(kInput) a config.json
///         that cannot be read.
[[nodiscard]] formats::Checkpoint random_checkpoint(const std::string& shape);

}  // namespace sgpt_mi::model
