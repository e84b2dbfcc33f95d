#include "codegen/cuda_contraction.h"

#include "ir/support/error.h"

#include <algorithm>
#include <functional>
#include <optional>

namespace netc {

namespace {

Conv2d conv_of(const std::variant<Conv2d, Linear>& shape) {
  const auto* linear = std::get_if<Linear>(&shape);
  return linear ? as_conv2d(*linear) : std::get<Conv2d>(shape);
}

ContractionPass pass_of(const std::string& family) {
  for (auto [suffix, pass] : {std::pair{"_forward", ContractionPass::forward},
                              std::pair{"_data_gradient", ContractionPass::data_gradient},
                              std::pair{"_weight_gradient", ContractionPass::weight_gradient}})
    if (family.ends_with(suffix))
      return pass;
  internal_error(__FILE__, __LINE__, fmt::format("`{}` is no pass of a contraction", family));
}

Math math_of(Precision precision) {
  switch (precision) {
  case Precision::fp32:
    return Math::fma;
  case Precision::x3tf32:
    return Math::x3tf32;
  case Precision::tf32:
    return Math::tf32;
  case Precision::bf16:
    break;
  }
  return Math::bf16;
}

std::string_view name_of(Math math) {
  constexpr std::string_view names[] = {"fma", "tf32", "x3tf32", "bf16"};
  return names[static_cast<size_t>(math)];
}

/// Multiprocessors that tilings are made for (an H100 or H200 has 132, with two blocks each): a
/// tiling depends on the shape and the kind of GPU alone, so that a plan computes the same bits on
/// every device of that kind.
constexpr int usual_multiprocessors = 132;

/// Relative time of a product in this tiling: whole waves of tiles, each the slices it multiplies
/// and, for splits, the sums it writes and reads again.
double tiling_cost(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const ProductShape p = product_shape(c, pass);
  const long blocks = tiles(c, pass, t) * t.splits;
  const double waves = double(ceil_div(blocks, 2 * usual_multiprocessors));
  // Small tiles bring more operands to shared memory for each product.
  const double load = 1.0 / t.rows + 1.0 / t.columns;
  const double slice = double(t.rows) * t.columns * (1 + 24 * load);
  const double slices = double(ceil_div(ceil_div(p.depth, t.slice), t.splits)) + t.stages;
  // A share is written and read, the result written.
  const double exchange = t.splits > 1 ? 5.0 * double(p.groups * p.rows * p.columns) *
                                             (2 * t.splits + 1) / usual_multiprocessors
                                       : 0;
  return waves * slice * slices + exchange;
}

/// Bytes of the rows and columns of a slice that come from the cache which all share. Of rows that
/// are copied for each tap, half are in the cache beside shared memory.
double brought_bytes(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const bool near = pass != ContractionPass::weight_gradient && taps_of(c) > 1 && !t.halo;
  const double rows = t.halo ? halo_lines(c, pass, t) / double(taps_of(c)) : t.rows;
  return double(t.slice) * rounded_bytes(t.math) * (copied_columns(t) + (near ? 0.5 : 1) * rows);
}
/// What it brings a cycle and multiprocessor, in bytes.
constexpr double brought_a_cycle = 19.5;

/// Cycles of a multiprocessor for a slice, or one tap's part of it, by the instructions of a
/// warpgroup, where columns are copied as these take them: the longer of multiplying and waiting
/// for it, and of what comes from the cache that all share, brought_a_cycle. As the 28
/// passes of AlexNet's convolutions took on an H200 (1.98 GHz) in TF32 and bf16: without a halo the
/// second, at 19 to 26 bytes a cycle; with one 480 to 600 cycles longer than they multiply, 60 of
/// them less with several taps in a slice, but with 64 columns 390, and 40 more. (Why these do
/// better is not known; nor is it measured that rows in registers add 80.)
double slice_cost(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const double multiply =
      double(t.rows) * t.columns * t.slice / (t.math == Math::bf16 ? 2048 : 1024);
  const bool even = t.halo && t.columns == 64;
  const double saved = t.taps == 1 ? 0 : even ? -40 : 56;
  const double waits = 0.35 * multiply + (!is_direct(c, pass, t) ? 420 : even ? 215 : 340) - saved;
  const double brought = brought_bytes(c, pass, t) / brought_a_cycle;
  // Of two alike, that of fewer columns.
  return std::max(multiply + waits, brought) + 0.01 * multiply;
}

/// The same as slice_cost for three TF32 products.
double parts_cost(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const double multiply = 3.0 * t.rows * t.columns * t.slice / 1024;
  // Alone, a block is all its multiprocessor waits for between two slices.
  const double waits = blocks_sharing(t) == 1 ? 350 : 0.15 * multiply + 60;
  return std::max(multiply + waits, brought_bytes(c, pass, t) / brought_a_cycle) + 0.01 * multiply;
}

/// The same as tiling_cost for the instructions of a warpgroup, in cycles of a multiprocessor.
/// Where columns are rounded on their way, fitted to the times of 266 tilings of AlexNet's
/// contractions on an H200 (error 16 %; what it ranks first took 0.1 % more than what was fastest);
/// weight gradients of several taps had their rows and columns exchanged then. Three TF32 products:
/// not measured.
double warpgroup_cost(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const ProductShape p = product_shape(c, pass);
  const double slice =
      has_parts(t) ? parts_cost(c, pass, t)
      : has_direct_columns(c, pass, t)
          ? slice_cost(c, pass, t)
          : 320 + double(t.rows) * t.columns * t.slice / (t.math == Math::bf16 ? 1560 : 800) +
                1.7 * t.rows + 0.9 * t.columns;
  // Before the first slice and after the last.
  const double around = has_direct_columns(c, pass, t) ? 9600 : 7000;
  const double slices =
      double(ceil_div(shared_slices(c, pass, t), t.splits) * (t.halo ? taps_of(c) : 1));
  // Of two blocks that share a multiprocessor, one alone is hardly faster.
  const int sharing = blocks_sharing(t);
  const long blocks = tiles(c, pass, t) * t.splits, round = sharing * long(usual_multiprocessors);
  const long full = blocks / round, rest = blocks % round;
  const bool alone = sharing == 2 && rest <= usual_multiprocessors;
  const double turns = sharing * double(full) + (rest == 0 ? 0 : alone ? 1.8 : double(sharing));
  // Shares are written and read through the cache, some 24 bytes a cycle and multiprocessor.
  const double exchange = t.splits > 1 ? 4.0 * double(p.groups * p.rows * p.columns) *
                                             (2 * t.splits + 1) / usual_multiprocessors / 24
                                       : 0;
  return turns * (slice * slices + around) + exchange;
}

/// Whether a thread has the registers for its part of a tile. The largest tile takes half of them
/// for its sums; f32 products leave no room then for the places of pixels that are copied in runs
/// shorter than four channels, which are many. Products of three TF32 parts need twice the operands
/// and sums of their own.
bool fits_registers(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const int sums = t.rows * t.columns;
  const int channels = pass == ContractionPass::forward ? c.group_in() : c.group_out();
  if (t.math == Math::x3tf32)
    return t.warpgroup || sums <= 128 * 64;
  return t.math != Math::fma || sums < 128 * 128 || pass == ContractionPass::weight_gradient ||
         channels % 4 == 0;
}

/// Depth of the slices of a warpgroup. Where neighbouring channels are copied by one or two, a
/// thread has many lines to find in deep slices, for which it lacks the registers. With a halo, as
/// much of a line of the cache as divides the channels; 0: there is none.
int warpgroup_slice(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const int line = cache_line / rounded_bytes(t.math), step = warpgroup_depth(t.math);
  const int channels = pass == ContractionPass::forward ? c.group_in() : c.group_out();
  if (t.halo) {
    int slice = line;
    while (slice > 0 && channels % slice != 0)
      slice -= step;
    return slice;
  }
  if (is_direct(c, pass, t))
    return line;
  const bool singly = (pass == ContractionPass::weight_gradient ? c.group_in() : channels) % 4 != 0;
  return singly ? usual_slice : 2 * usual_slice;
}

/// Taps of a slice, at most: a row of the larger kernels.
constexpr int most_taps = 5;

/// Lines of a halo, at most: more than shared memory holds.
constexpr long most_halo_lines = 1 << 14;

/// Whether the pixels under all taps of a tile can be copied together.
bool can_have_halo(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  return pass != ContractionPass::weight_gradient && is_direct(c, pass, t) &&
         has_padded_images(gather_of(c, pass)) &&
         padded_images(gather_of(c, pass)).halo < most_halo_lines &&
         tiled_rows(c, pass, t) < (1L << 31) - 2 * most_halo_lines;
}

/// Whether blocks_sharing of a tiling have the shared memory of a multiprocessor.
bool fits(const Conv2d& c, ContractionPass pass, const Tiling& t, const Target& target) {
  return blocks_sharing(t) * (tile_shared_bytes(c, pass, t) + reserved_shared_bytes) <=
         target.shared_bytes();
}

/// Whether a block multiplies so much longer than it writes its sums that no other needs to fill in
/// meanwhile.
bool is_deep(const ProductShape& p, const Tiling& t) {
  return p.depth >= 16L * t.splits * t.slice;
}

/// The tiling with as many stages, up to those it has, as let blocks_sharing of it fit on a
/// multiprocessor; at least two, and one more for each slice that is still multiplied.
Tiling with_stages(const Conv2d& c, ContractionPass pass, Tiling t, const Target& target) {
  while (t.stages > 2 + slices_pending(t) && !fits(c, pass, t, target))
    --t.stages;
  return t;
}

/// The tiling with slices of as many taps, up to those it has, as have room; none if not even one
/// has.
std::optional<Tiling> with_halo_slices(const Conv2d& c, ContractionPass pass, Tiling t,
                                       const Target& target) {
  const int taps = static_cast<int>(taps_of(c)), stages = t.stages;
  for (; t.taps > 0; --t.taps) {
    // Rows of the next channels come in the turns of slices that are not on their way.
    t.stages = std::min(stages, taps / t.taps + 1);
    if (taps % t.taps != 0 || t.stages < 2 + slices_pending(t))
      continue;
    const Tiling smaller = with_stages(c, pass, t, target);
    if (fits(c, pass, smaller, target))
      return smaller;
  }
  return {};
}

/// The tiling with its slices and stages; none where it does not suit.
std::optional<Tiling> completed(const Conv2d& c, ContractionPass pass, Tiling t,
                                const Target& target) {
  const ProductShape p = product_shape(c, pass);
  if (t.splits > 1 && p.depth < long(t.splits) * 8 * usual_slice)
    return {};
  t.stages = t.math == Math::fma ? 2 : 4;
  if (t.halo && !can_have_halo(c, pass, t))
    return {};
  if (t.warpgroup) {
    if (t.rows > 64 ? p.rows <= 64 : p.rows > 64 && !has_parts(t))
      return {};
    t.slice = warpgroup_slice(c, pass, t);
    if (t.slice == 0 || (t.halo && t.splits > shared_slices(c, pass, t)))
      return {};
  }
  if (t.rows > 128 && (!has_direct_columns(c, pass, t) || p.rows <= t.rows))
    return {};
  if (blocks_sharing(t) == 1 && !is_deep(p, t))
    return {};
  if (t.columns < 64 && ((!is_direct(c, pass, t) && !has_parts(t)) ||
                         pass == ContractionPass::weight_gradient || p.columns > t.columns))
    return {};
  // The threads of two warpgroups copy 32 depths together where these are no neighbours.
  if (!columns_by_depth(c, pass) && 8 * t.slice < threads_of(t))
    return {};
  if (!fits_registers(c, pass, t))
    return {};
  if (t.halo)
    return with_halo_slices(c, pass, t, target);
  t = with_stages(c, pass, t, target);
  return fits(c, pass, t, target) ? std::optional(t) : std::nullopt;
}

/// All tilings that suit, by rising cost but for those that tuning shall not miss.
std::vector<Tiling> suitable_tilings(const Conv2d& c, ContractionPass pass, Math math, bool rounded,
                                     const Target& target) {
  if (c.exact_blocks > 0) // a thread keeps the partial sums of the tree
    return {{Math::fma, 64, 64, 2, 1}};
  const bool warpgroup = target.has_warpgroups() && math != Math::fma;
  NETC_CHECK((warpgroup && math != Math::x3tf32) || !rounded,
             "{} has no instructions for {} of operands that are rounded", target.str(),
             name_of(math));
  std::vector<Tiling> list, last;
  auto add = [&](Tiling t, std::vector<Tiling>& to) {
    if (std::optional<Tiling> tiling = completed(c, pass, t, target))
      to.push_back(*tiling);
  };
  // Two warpgroups that take rows through registers: no GPU has said yet that they are faster.
  auto is_tried = [&](const Tiling& t) { return t.rows > 128 && !is_direct(c, pass, t); };
  for (int rows : {256, 128, 64})
    for (int columns : {128, 96, 64, 48})
      for (int splits : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}) {
        Tiling t{math, rows, columns, 0, splits, warpgroup};
        t.rounded = rounded;
        add(t, is_tried(t) ? last : list);
        t.halo = rounded;
        if (t.halo) {
          t.taps = most_taps;
          add(t, list);
          if (!list.empty() && list.back().taps > 1) {
            t.taps = 1;
            add(t, list);
          }
          t.taps = 1;
        }
        // Copies of single elements should be faster than a pass over shared memory. A GPU may say
        // that they are not.
        t.rounded = t.halo = false;
        if (rounded && math == Math::tf32 && pass == ContractionPass::weight_gradient)
          add(t, last);
      }
  for (std::vector<Tiling>* some : {&list, &last})
    std::stable_sort(some->begin(), some->end(), [&](const Tiling& a, const Tiling& b) {
      return warpgroup ? warpgroup_cost(c, pass, a) < warpgroup_cost(c, pass, b)
                       : tiling_cost(c, pass, a) < tiling_cost(c, pass, b);
    });
  list.insert(list.end(), last.begin(), last.end());
  // Tuning looks at the first ones: the best of each kind among them, whatever the estimate says.
  const std::function<bool(const Tiling&)> kinds[] = {
      [](const Tiling& t) { return t.halo; }, [](const Tiling& t) { return !t.halo && t.rounded; },
      [](const Tiling& t) { return !t.rounded; }, is_tried};
  for (const auto& kind : kinds) {
    const auto best = std::find_if(list.begin(), list.end(), kind);
    if (best != list.end() && best - list.begin() > 2)
      std::rotate(list.begin() + 1, best, best + 1);
  }
  return list;
}

} // namespace

KernelEntry sweep(long items) {
  constexpr long most = 16 * usual_multiprocessors;
  return {.blocks = std::clamp(ceil_div(items, 4 * tile_threads), 1L, most),
          .threads = tile_threads};
}

std::vector<Tiling> cuda_tilings(const std::string& family,
                                 const std::variant<Conv2d, Linear>& shape, Precision precision,
                                 bool rounded, const Target& target) {
  const ContractionPass pass = pass_of(family);
  const Math math = math_of(precision);
  const Conv2d c = conv_of(shape);
  // Features of TF32 that are summed over the batch go through registers, rounded or not.
  rounded =
      rounded && (math == Math::bf16 || pass != ContractionPass::weight_gradient || taps_of(c) > 1);
  return suitable_tilings(c, pass, math, rounded, target);
}

std::string tiling_name(const Tiling& t) {
  return fmt::format("{}x{}{}{} stages {} splits {}", t.rows, t.columns,
                     t.warpgroup ? fmt::format("x{} warpgroup", t.slice) : "",
                     t.halo                      ? fmt::format(" halo taps {}", t.taps)
                     : t.warpgroup && !t.rounded ? " rounding"
                                                 : "",
                     t.stages, t.splits);
}

int64_t specialise_for_tiling(Contraction& contraction, const std::string& family,
                              const Tiling& t) {
  const Conv2d c = conv_of(contraction.shape);
  const ContractionPass pass = pass_of(family);
  const ProductShape p = product_shape(c, pass);
  contraction.constants = fmt::format(
      "constexpr netc::Tiling tiling{{\n    .math = netc::Math::{}, .rows = {}, .columns = {}, "
      ".stages = {}, .splits = {}{}}};",
      name_of(t.math), t.rows, t.columns, t.stages, t.splits,
      t.warpgroup
          ? fmt::format(", .warpgroup = true, .slice = {}{}", t.slice,
                        t.halo ? fmt::format(", .rounded = true, .halo = true, .taps = {}", t.taps)
                        : t.rounded ? ", .rounded = true"
                                    : "")
          : "");
  if (packs(c, pass))
    contraction.entries.push_back(sweep(p.packed_floats));
  contraction.entries.push_back({.blocks = tiles(c, pass, t) * t.splits,
                                 .threads = threads_of(t),
                                 .shared_bytes = tile_shared_bytes(c, pass, t)});
  if (t.splits > 1)
    contraction.entries.push_back(sweep(p.groups * p.rows * p.columns));
  return tiled_workspace_bytes(c, pass, t);
}

int64_t specialise_for_cuda(Contraction& contraction, const std::string& family,
                            const Target& target, const std::string& chosen) {
  const std::vector<Tiling> list =
      cuda_tilings(family, contraction.shape, contraction.precision, contraction.rounded, target);
  auto it = std::find_if(list.begin(), list.end(), [&](const Tiling& t) {
    return chosen.empty() || tiling_name(t) == chosen;
  });
  NETC_CHECK(it != list.end(), "`{}` has no tiling `{}`", family, chosen);
  return specialise_for_tiling(contraction, family, *it);
}

} // namespace netc
