// The `netc` command: reads flags, calls one command, turns failures into messages and exit codes.

#include "tools/netc/command.h"

#include <iostream>

namespace {

int run(int argc, char** argv) {
  CLI::App app{"netc: a graph compiler that trains convolutional networks"};
  app.set_version_flag("--version", std::string("netc ") + NETC_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  std::function<void()> command;
  for (netc::cli::Register add :
       {netc::cli::add_compile, netc::cli::add_train, netc::cli::add_eval, netc::cli::add_predict,
        netc::cli::add_viz, netc::cli::add_bench, netc::cli::add_data, netc::cli::add_lists,
        netc::cli::add_doctor})
    add(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 1;
  }
  command();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const netc::UserError& error) {
    std::cerr << error.what();
    return 1;
  } catch (const netc::RuntimeError& error) {
    std::cerr << "error: " << error.what() << "\n";
    if (!error.hint().empty())
      std::cerr << "note: " << error.hint() << "\n";
    return 3;
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory\nnote: a smaller batch (`--batch N`) needs less\n";
    return 3;
  } catch (const std::exception& error) {
    std::cerr << "internal error: " << error.what()
              << "\nnote: this is a mistake of netc; please report it with the network file and "
                 "the command line\n";
    return 2;
  }
}
