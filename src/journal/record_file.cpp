#include "sgpt_mi/journal/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/io/mapped_file.h"

namespace sgpt_mi::journal {
namespace {

constexpr std::size_t kChecksum = 16;

std::string checksum(std::string_view text) { return sha256_hex(text).substr(0, kChecksum); }

/// The record of a line without its newline; discarded when it is damaged.
nlohmann::json parse_line(std::string_view line) {
  nlohmann::json damaged(nlohmann::json::value_t::discarded);
  if (line.size() < kChecksum + 1 || line[kChecksum] != ' ') return damaged;
  const std::string_view text = line.substr(kChecksum + 1);
  if (checksum(text) != line.substr(0, kChecksum)) return damaged;
  return nlohmann::json::parse(text, nullptr, false);
}

io::FileDescriptor open_to_append(const std::filesystem::path& path, std::uint64_t end) {
  io::FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) io::fail_output(path, errno);
  if (::ftruncate(file.get(), static_cast<off_t>(end)) != 0) io::fail_output(path, errno);
  return file;
}

}  // namespace

RecordFile::RecordFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code not_there;
  if (std::filesystem::file_size(path_, not_there) > 0 && !not_there) {
    const io::MappedFile mapped(path_);
    const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()),
                                mapped.bytes().size());
    for (std::size_t newline = text.find('\n'); newline != std::string_view::npos;
         newline = text.find('\n', static_cast<std::size_t>(end_))) {
      const auto begin = static_cast<std::size_t>(end_);
      nlohmann::json record = parse_line(text.substr(begin, newline - begin));
      if (record.is_discarded()) break;
      records_.push_back(std::move(record));
      end_ = newline + 1;
    }
  }
  file_ = open_to_append(path_, end_);
}

void RecordFile::append(nlohmann::json record) {
  const std::string text = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string line = checksum(text) + " " + text + "\n";
  io::write_at(file_, end_, std::as_bytes(std::span(line)), path_);
  io::sync_file(file_, path_);
  end_ += line.size();
  records_.push_back(std::move(record));
}

}  // namespace sgpt_mi::journal
