#pragma once

#include <string>

#include "exchange.h"
#include "names.h"

namespace sgpt_mi::hub {

/// What was asked of the Hub.
struct Question {
  Repo repo;
  std::string revision;
  std::string file;  ///< empty: the repository itself
};

/// Throws Error(kInput) that says what a 4xx answer means and what to do.
[[noreturn]] void explain_refusal(const Question& question, const Answer& answer,
                                  const Conduct& conduct);

}  // namespace sgpt_mi::hub
