#include "runtime/cuda/library_product.h"

#include "ir/support/error.h"

namespace netc::cuda {

std::string way_without(const std::string& library) {
  return fmt::format("compile again without the entries of tuning.json that choose `{}`: netc's "
                     "own kernels compute the same",
                     library);
}

void library_failed(const std::string& library, const char* function, const char* status,
                    int number) {
  throw RuntimeError(fmt::format("{} failed: {} ({})", function, status, number),
                     way_without(library));
}

} // namespace netc::cuda
