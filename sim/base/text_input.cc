#include "sim/base/text_input.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "sim/base/error.h"

namespace kpksim {
namespace {

[[noreturn]] void too_large(const std::string& path, std::size_t limit, const char* unpacked) {
  throw InputError(
      fmt::format("{}: more than {} MiB of text{}; expected no more", path, limit >> 20, unpacked));
}

[[noreturn]] void unreadable(const std::string& path, int error) {
  if (error == EISDIR) throw InputError(path + ": is a directory; expected a file");
  throw InputError(fmt::format("{}: cannot be read: {}", path, std::strerror(error)));
}

// All bytes of a file, a pipe or a device.
std::string read_bytes(const std::string& path, std::size_t limit) {
  struct Closed {
    int number;
    ~Closed() {
      if (number >= 0) close(number);
    }
  } const file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  if (file.number < 0) unreadable(path, errno);
  std::string text;
  struct stat status {};
  if (fstat(file.number, &status) == 0 && S_ISREG(status.st_mode)) {
    text.reserve(std::min(static_cast<std::size_t>(status.st_size), limit) + 1);
  }
  constexpr std::size_t kChunk = 1 << 18;
  for (std::size_t size = 0;;) {
    text.resize(std::max(std::min(text.capacity(), size + kChunk), size + 1));
    const ssize_t n = read(file.number, text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) unreadable(path, errno);
    size += static_cast<std::size_t>(n);
    if (size > limit) too_large(path, limit, "");
    if (n == 0) {
      text.resize(size);
      return text;
    }
  }
}

constexpr std::size_t kUsualRatio = 64;  // of unpacked text to packed

std::string from_zstd(const std::string& packed, const std::string& path, std::size_t limit) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                          &ZSTD_freeDStream);
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::string text, chunk(ZSTD_DStreamOutSize(), '\0');
  const unsigned long long told = ZSTD_getFrameContentSize(packed.data(), packed.size());
  // Neither unknown nor an error: those are the largest numbers. A frame may lie.
  if (told <= limit) text.reserve(std::min<std::size_t>(told, packed.size() * kUsualRatio));
  std::size_t left = 1;
  // A full output buffer means that more may wait inside, even when all input is taken.
  for (bool full = false; in.pos < in.size || full;) {
    ZSTD_outBuffer out{chunk.data(), chunk.size(), 0};
    left = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(left)) {
      throw InputError(fmt::format("{}: byte {}: corrupt zstd data ({})", path, in.pos,
                                   ZSTD_getErrorName(left)));
    }
    text.append(chunk, 0, out.pos);
    if (text.size() > limit) too_large(path, limit, " once unpacked");
    full = out.pos == out.size;
  }
  if (left != 0) {
    throw InputError(fmt::format("{}: byte {}: truncated zstd data; expected the rest of the frame",
                                 path, in.pos));
  }
  return text;
}

std::string from_gzip(const std::string& packed, const std::string& path, std::size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw InputError(path + ": zlib does not start");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&stream, &inflateEnd);
  std::string text, chunk(1 << 17, '\0'), input = packed;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  for (int status = Z_OK;;) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = inflate(&stream, Z_NO_FLUSH);
    text.append(chunk, 0, chunk.size() - stream.avail_out);
    if (text.size() > limit) too_large(path, limit, " once unpacked");
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) return text;
      inflateReset(&stream);  // the next member of the file
    } else if (status == Z_BUF_ERROR ||
               (status == Z_OK && stream.avail_in == 0 && stream.avail_out != 0)) {
      throw InputError(
          fmt::format("{}: byte {}: truncated gzip data; expected its end", path, input.size()));
    } else if (status != Z_OK) {
      throw InputError(fmt::format("{}: byte {}: corrupt gzip data ({})", path,
                                   input.size() - stream.avail_in,
                                   stream.msg != nullptr ? stream.msg : "no reason given"));
    }
  }
}

}  // namespace

std::string read_text_file(const std::string& path, std::size_t limit) {
  std::string text = read_bytes(path, limit);
  if (text.empty()) {
    throw InputError(fmt::format("{}: is empty; expected text, plain, gzip or zstd", path));
  }
  if (text.starts_with("\x28\xb5\x2f\xfd")) return from_zstd(text, path, limit);
  if (text.starts_with("\x1f\x8b")) return from_gzip(text, path, limit);
  for (const auto& [magic, name] : {std::pair<std::string_view, const char*>{"\xfd"
                                                                             "7zXZ",
                                                                             "xz"},
                                    {"BZh", "bzip2"},
                                    {"\x04\x22\x4d\x18", "lz4"}}) {
    if (text.starts_with(magic)) {
      throw InputError(fmt::format(
          "{}: byte 0: {} data; expected text, plain or compressed with gzip or zstd", path, name));
    }
  }
  return text;
}

}  // namespace kpksim
