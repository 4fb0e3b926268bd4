#include "sgpt_mi/memory/activation_space.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::memory {

std::int64_t pinned_bytes(std::int64_t bytes) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(bytes)));
}

std::filesystem::path temporary_folder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != '\0' ? folder : "/tmp";
}

FileRegions::Region FileRegions::take(std::uint64_t bytes) {
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t wanted = (bytes + kPage - 1) / kPage * kPage;
  const auto found = free_.lower_bound(wanted);
  // A region of another kind of tensor is left for the next of that kind.
  if (found != free_.end() && found->first <= wanted + wanted / 4) {
    const Region region{found->second, found->first};
    free_.erase(found);
    return region;
  }
  const Region region{end_, wanted};
  end_ += wanted;
  return region;
}

std::int64_t& ActivationSpace::counter(Use& use, Place place) {
  switch (place) {
    case Place::kDevice:
      return use.device;
    case Place::kHost:
      return use.host;
    case Place::kFile:
      return use.file;
  }
  fail(ErrorKind::kInternal, "pipeline: unknown place {}", static_cast<int>(place));
}

ActivationSpace::Place ActivationSpace::reserve(std::int64_t bytes) {
  Place place = Place::kFile;
  if (bytes <= budget_.device_bytes - use_.device) {
    place = Place::kDevice;
  } else if (counted(Place::kHost, bytes) <= budget_.host_bytes - use_.host) {
    place = Place::kHost;
  }
  counter(use_, place) += counted(place, bytes);
  return place;
}

io::ScratchFile& ActivationSpace::file() {
  if (!file_) file_.emplace(budget_.folder.empty() ? temporary_folder() : budget_.folder);
  return *file_;
}

}  // namespace sgpt_mi::memory
