#pragma once
// Where the tests and benchmarks find the checkout and the program.

#include <string>

namespace kpksim::test {

// `relative` ("profiles/cores/a.json") as a path in the checkout.
std::string source_path(const std::string& relative);
// The same, quoted for a shell: the checkout may lie in a folder with spaces.
std::string quoted_source_path(const std::string& relative);
// The program that was built with the tests, quoted for a shell.
std::string kpksim_binary();
// The command that installs it below `prefix`.
std::string cmake_install(const std::string& prefix);

}  // namespace kpksim::test
