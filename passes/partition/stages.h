#pragma once
// Which layers of a chain go together on a device.

#include <cstdint>
#include <vector>

namespace netc {

struct StageLayer {
  int64_t work = 0;  ///< Multiply-adds.
  int64_t bytes = 0; ///< What goes to the next stage if the layer is the last of one.
};

/// The stage of every layer, ascending from 0. The stage with the most work has as little as can
/// be; of all such cuts, the one that moves the fewest bytes. With fewer layers than stages some
/// are empty.
std::vector<int> balanced_stages(const std::vector<StageLayer>& layers, int stages);

} // namespace netc
