#include "sgpt_mi/flags/settings.h"

#include "sgpt_mi/core/names.h"

namespace sgpt_mi::flags {
namespace {

constexpr Names<Origin, 4> kOrigins{{{"default", Origin::kDefault},
                                     {"environment", Origin::kEnvironment},
                                     {"file", Origin::kFile},
                                     {"flag", Origin::kFlag}}};

}  // namespace

std::string origin_name(Origin origin) { return name_of(kOrigins, origin); }

}  // namespace sgpt_mi::flags
