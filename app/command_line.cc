#include "app/command_line.h"

#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <iostream>

namespace boost::program_options {
template class typed_value<bool>;
template class typed_value<unsigned>;
template class typed_value<std::string>;
template void typed_value<std::vector<std::string>>::xparse(boost::any&,
                                                            const std::vector<std::string>&) const;
}  // namespace boost::program_options

namespace kpksim::app {

namespace po = boost::program_options;

bool read_command_line(const std::vector<std::string>& arguments, po::options_description& options,
                       std::initializer_list<Unnamed> unnamed) {
  options.add_options()("help,h", "this text");
  po::options_description all;
  all.add(options);
  po::positional_options_description positional;
  for (const Unnamed& u : unnamed) {
    all.add_options()(u.name, u.value);
    positional.add(u.name, u.most);
  }
  po::variables_map values;
  po::store(po::command_line_parser(arguments).options(all).positional(positional).run(), values);
  po::notify(values);
  if (values.count("help") == 0) return true;
  std::cout << options;
  return false;
}

}  // namespace kpksim::app
