// Inputs have an end, whatever stands behind their names.

#include "sim/base/text_input.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sim/base/error.h"
#include "tests/scratch.h"

namespace kpksim {
namespace {

std::string error_of(const std::string& path, std::size_t limit = kMaxTextBytes) {
  try {
    read_text_file(path, limit);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

struct Scratch {
  explicit Scratch(const char* name) : path(test::scratch_file(name)) {}
  ~Scratch() { std::filesystem::remove(path); }
  const std::string path;
};

TEST(TextInput, AnEndlessInputEndsAtTheBound) {
  EXPECT_EQ(error_of("/dev/zero", 3 << 20), "/dev/zero: more than 3 MiB of text; expected no more");
}

TEST(TextInput, ASmallFileDoesNotUnpackWithoutEnd) {
  const Scratch file("bomb.gz");
  const gzFile out = gzopen(file.path.c_str(), "wb9");
  const std::string zeros(1 << 20, '0');
  for (int i = 0; i < 4; ++i) gzwrite(out, zeros.data(), static_cast<unsigned>(zeros.size()));
  gzclose(out);
  EXPECT_LT(std::filesystem::file_size(file.path), 10'000u);
  EXPECT_EQ(error_of(file.path, 3 << 20),
            file.path + ": more than 3 MiB of text once unpacked; expected no more");
  EXPECT_EQ(read_text_file(file.path, 4 << 20).size(), 4u << 20);
}

TEST(TextInput, ATextOfTheBoundItselfIsRead) {
  const Scratch file("whole");
  std::ofstream(file.path) << std::string(1 << 20, 'x');
  EXPECT_EQ(read_text_file(file.path, 1 << 20).size(), 1u << 20);
  EXPECT_NE(error_of(file.path, (1 << 20) - 1), "");
}

TEST(TextInput, WhatCannotBeReadSaysWhy) {
  EXPECT_NE(error_of("/proc/self/mem").find("/proc/self/mem: cannot be read: "), std::string::npos);
  EXPECT_NE(error_of(std::string(300, 'x')).find("File name too long"), std::string::npos);
  EXPECT_NE(error_of(test::scratch_folder().string()).find("is a directory; expected a file"),
            std::string::npos);
  EXPECT_NE(error_of("/nowhere/at/all").find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace kpksim
