#pragma once
// How subcommands read their options (Boost.Program_options): the same everywhere.

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <initializer_list>
#include <string>
#include <vector>

// The kinds of values that options have are compiled in command_line.cc alone.
namespace boost::program_options {
extern template class typed_value<bool>;
extern template class typed_value<unsigned>;
extern template class typed_value<std::string>;
extern template void typed_value<std::vector<std::string>>::xparse(
    boost::any&, const std::vector<std::string>&) const;
}  // namespace boost::program_options

namespace kpksim::app {

// An argument without a name: which value takes it, and up to how many of them (-1: all).
struct Unnamed {
  const char* name;
  const boost::program_options::value_semantic* value;
  int most;
};

// Reads `arguments` by `options`, to which --help is added, and by `unnamed`, in their order.
// False: they asked for help, which is printed. Errors are boost's, or InputError from a value's
// notifier.
bool read_command_line(const std::vector<std::string>& arguments,
                       boost::program_options::options_description& options,
                       std::initializer_list<Unnamed> unnamed = {});

}  // namespace kpksim::app
