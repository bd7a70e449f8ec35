#include "app/output.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/base/printable.h"

namespace kpksim::app {
namespace {

// Open for reading alone: writing there fails as it does on a closed descriptor.
void occupy_closed_descriptors() {
  for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number) {
    if (fcntl(number, F_GETFD) >= 0) continue;
    [[maybe_unused]] const int occupied = open("/dev/null", O_RDONLY);
  }
}

}  // namespace

StandardOutput::StandardOutput()
    : before_(std::cout.rdbuf(this)), terminal_(isatty(STDOUT_FILENO) != 0) {
  occupy_closed_descriptors();
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  std::cout.exceptions(std::ios::badbit);
}

StandardOutput::~StandardOutput() {
  std::cout.exceptions(std::ios::goodbit);
  std::cout.rdbuf(before_);
}

StandardOutput::int_type StandardOutput::overflow(int_type c) {
  sync();
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  *pptr() = traits_type::to_char_type(c);
  pbump(1);
  return c;
}

// A terminal gets each piece of text at once.
std::streamsize StandardOutput::xsputn(const char* text, std::streamsize size) {
  const std::streamsize n = std::streambuf::xsputn(text, size);
  if (terminal_) sync();
  return n;
}

int StandardOutput::sync() {
  const std::string_view text(pbase(), static_cast<std::size_t>(pptr() - pbase()));
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  if (text.empty() || failed_) return 0;
  written_ = true;
  if (!write_all(STDOUT_FILENO, text)) fail(errno);
  return 0;
}

void StandardOutput::fail(int error) {
  failed_ = true;
  if (error == EPIPE) throw ReaderGone();
  throw OutputError(fmt::format("standard output: cannot be written: {}", std::strerror(error)));
}

void StandardOutput::finish() {
  std::cout.flush();
  if (!written_ || failed_) return;
  // Some file systems say at close() alone that the text did not fit; they do so for a copy too.
  const int copy = dup(STDOUT_FILENO);
  if (copy < 0 || close(copy) != 0) fail(errno);
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code none;
  return std::filesystem::equivalent(a, b, none) && !none &&
         std::filesystem::is_regular_file(a, none);
}

void refuse_input_as_output(const char* option, const std::string& output,
                            const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    if (same_file(input, output)) {
      throw InputError(fmt::format("{}: {} is an input too", option, output));
    }
  }
}

void complain(std::string_view what) {
  try {
    std::cout.flush();
  } catch (...) {  // this message is about it, or matters more
  }
  [[maybe_unused]] const bool said =
      write_all(STDERR_FILENO, fmt::format("kpksim: {}\n", printable(what)));
}

}  // namespace kpksim::app
