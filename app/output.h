#pragma once
// What the program prints: std::cout that cannot fail silently, and messages on stderr.

#include <array>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim::app {

// Whoever read standard output has gone (head, less): no error, and nobody to tell.
struct ReaderGone {};

// std::cout for as long as this lives. What cannot be written is thrown from the very operator<<:
// ReaderGone for a pipe without a reader, else OutputError with the reason. Descriptors 0 to 2 that
// are closed get occupied, so that no file that is opened later is taken for standard output.
class StandardOutput : std::streambuf {
 public:
  StandardOutput();
  ~StandardOutput() override;
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

  // All of it is written: throws as above.
  void finish();

 protected:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

 private:
  [[noreturn]] void fail(int error);

  std::streambuf* const before_;
  const bool terminal_;
  bool written_ = false, failed_ = false;
  std::array<char, 1 << 16> buffer_;
};

// Are both one regular file?
bool same_file(const std::string& a, const std::string& b);
// InputError if the file of `option` is an input too: what was read would be gone.
void refuse_input_as_output(const char* option, const std::string& output,
                            const std::vector<std::string>& inputs);

// "kpksim: what" on stderr, on one line and printable, behind what std::cout holds. That stderr
// cannot be written is nobody's concern.
void complain(std::string_view what);

}  // namespace kpksim::app
