#include "tools/driver/compile.h"
#include <iostream>
int main(int argc, char** argv) {
  try {
    auto source = netc::load_network(argv[1], std::cerr);
    netc::CompileOptions o;
    o.batch = argc > 2 ? atoi(argv[2]) : 0;
    o.pipeline.verify_each = true;
    auto c = netc::compile_network(source, o, source.network.recipe.name + ".plan", std::cerr);
    fmt::print("{} kernels, {:.1f} s, {} hits\n", c.plan.kernels.size(), c.seconds, c.stats.hits);
  } catch (const std::exception& e) { std::cerr << e.what() << "\n"; return 1; }
}
