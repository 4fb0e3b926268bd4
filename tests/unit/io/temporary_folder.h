#pragma once

#include "support/temporary_folder.h"

namespace sgpt_mi::io {

using test::bytes_of;
using test::error_of;
using test::input_error;
using test::read_all;
using test::TemporaryFolder;

}  // namespace sgpt_mi::io
