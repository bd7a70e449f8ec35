#include "sim/base/text_input.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "sim/base/error.h"

namespace kpksim {
namespace {

std::string from_zstd(const std::string& packed, const std::string& path) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                          &ZSTD_freeDStream);
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::string text, chunk(ZSTD_DStreamOutSize(), '\0');
  std::size_t left = 1;
  while (in.pos < in.size) {
    ZSTD_outBuffer out{chunk.data(), chunk.size(), 0};
    left = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(left)) {
      throw InputError(fmt::format("{}: byte {}: corrupt zstd data ({})", path, in.pos,
                                   ZSTD_getErrorName(left)));
    }
    text.append(chunk, 0, out.pos);
  }
  if (left != 0)
    throw InputError(fmt::format("{}: truncated zstd data: the frame does not end", path));
  return text;
}

std::string from_gzip(const std::string& path) {
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), &gzclose);
  std::string text, chunk(1 << 16, '\0');
  for (int n; (n = gzread(file.get(), chunk.data(), static_cast<unsigned>(chunk.size()))) != 0;) {
    if (n < 0) throw InputError(fmt::format("{}: corrupt gzip data", path));
    text.append(chunk, 0, static_cast<std::size_t>(n));
  }
  int error = Z_OK;
  gzerror(file.get(), &error);
  if (error != Z_OK && error != Z_STREAM_END) {
    throw InputError(fmt::format("{}: truncated gzip data", path));
  }
  return text;
}

}  // namespace

std::string read_text_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream raw;
  if (!file || !(raw << file.rdbuf()))
    throw InputError(fmt::format("{}: cannot be read, or is empty", path));
  std::string text = raw.str();
  if (text.starts_with("\x28\xb5\x2f\xfd")) return from_zstd(text, path);
  if (text.starts_with("\x1f\x8b")) return from_gzip(path);
  return text;
}

}  // namespace kpksim
