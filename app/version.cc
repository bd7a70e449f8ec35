#include "app/version.h"

#include <filesystem>
#include <iostream>

#include "app/data.h"
#include "sim/base/error.h"
#include "sim/base/printable.h"
#include "sim/report/result.h"

#if defined(__clang__)
#define KPKSIM_COMPILER "Clang " __clang_version__
#elif defined(__GNUC__)
#define KPKSIM_COMPILER "GCC " __VERSION__
#else
#define KPKSIM_COMPILER "unknown"
#endif

namespace kpksim::app {
namespace {

std::string data_folder() {
  try {
    const std::string folder = data_path("");
    std::error_code none;
    const std::filesystem::path real = std::filesystem::canonical(folder, none);
    return none ? folder : real.string();
  } catch (const InputError& e) {
    return std::string("none: ") + e.what();
  }
}

}  // namespace

int version() {
  std::cout << "kpksim " << report::version() << "\n"
            << "compiler: " KPKSIM_COMPILER "\n"
            << "build type: " KPKSIM_BUILD_TYPE "\n"
            << "data: " << printable(data_folder()) << "\n";
  return 0;
}

}  // namespace kpksim::app
