#include "runtime/multi_device/box_loop.h"

#include "ir/support/error.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace netc {

namespace {

/// Elements between neighbours along each dimension of a tensor of that shape.
std::vector<int64_t> strides_of(const Shape& shape, Layout layout) {
  std::vector<size_t> order; // fastest first
  if (layout == Layout::nhwc)
    order = {1, 3, 2, 0};
  else
    for (size_t d = shape.size(); d-- > 0;)
      order.push_back(d);
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t d : order) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return strides;
}

} // namespace

BoxLoop::BoxLoop(const Box& box, const std::vector<BoxView>& views, int64_t element_bytes)
    : element_bytes_(element_bytes) {
  NETC_CHECK(views.size() <= most_views && box.size() <= most_dims,
             "{} tensors of {} dimensions are too many", views.size(), box.size());
  std::vector<Dim> dims;
  for (const Range& range : box)
    dims.push_back({range.extent(), {}});
  for (const BoxView& view : views) {
    NETC_CHECK(contains(view.box, box), "{} is not within {}", to_text(box), to_text(view.box));
    const std::vector<int64_t> strides = strides_of(shape_of(view.box), view.layout);
    int64_t first = 0;
    for (size_t d = 0; d < box.size(); ++d) {
      dims[d].strides.push_back(strides[d]);
      first += (box[d].begin - view.box[d].begin) * strides[d];
    }
    bases_.push_back(view.data + first * element_bytes);
  }
  merge(std::move(dims));
  pieces_ = (row_elements_ + piece_elements - 1) / piece_elements;
  items_ = is_empty(box) ? 0 : pieces_;
  for (const Dim& dim : outer_)
    items_ *= dim.extent;
}

/// Takes dimensions that lie without gaps in all views together; the fastest become the rows.
void BoxLoop::merge(std::vector<Dim> dims) {
  std::erase_if(dims, [](const Dim& dim) { return dim.extent == 1; });
  std::stable_sort(dims.begin(), dims.end(), [](const Dim& a, const Dim& b) {
    return a.strides.front() > b.strides.front();
  });
  for (Dim& dim : dims) {
    bool joins = !outer_.empty();
    for (size_t v = 0; joins && v < bases_.size(); ++v)
      joins = outer_.back().strides[v] == dim.strides[v] * dim.extent;
    if (joins)
      outer_.back() = {outer_.back().extent * dim.extent, std::move(dim.strides)};
    else
      outer_.push_back(std::move(dim));
  }
  row_strides_.assign(bases_.size(), 1);
  if (outer_.empty())
    return;
  row_elements_ = outer_.back().extent;
  row_strides_ = outer_.back().strides;
  outer_.pop_back();
  contiguous_ = std::all_of(row_strides_.begin(), row_strides_.end(),
                            [](int64_t stride) { return stride == 1; });
}

/// The indices at which piece `item` of all stands; returns its number within the row.
int64_t BoxLoop::start(int64_t item, std::array<int64_t, most_dims>& index) const {
  int64_t row = item / pieces_;
  for (size_t d = outer_.size(); d-- > 0;) {
    index[d] = row % outer_[d].extent;
    row /= outer_[d].extent;
  }
  return item % pieces_;
}

void BoxLoop::point(const std::array<int64_t, most_dims>& index, int64_t first,
                    std::byte** pointers) const {
  for (size_t v = 0; v < bases_.size(); ++v) {
    int64_t at = first * row_strides_[v];
    for (size_t d = 0; d < outer_.size(); ++d)
      at += index[d] * outer_[d].strides[v];
    pointers[v] = bases_[v] + at * element_bytes_;
  }
}

void BoxLoop::advance(std::array<int64_t, most_dims>& index) const {
  for (size_t d = outer_.size(); d-- > 0;) {
    if (++index[d] < outer_[d].extent)
      return;
    index[d] = 0;
  }
}

void BoxCopy::run(const Thread& thread) const {
  const size_t bytes = static_cast<size_t>(loop_.element_bytes());
  if (loop_.contiguous())
    return loop_.walk(thread, [&](std::byte* const* at, int64_t count) {
      std::memcpy(at[0], at[1], static_cast<size_t>(count) * bytes);
    });
  const int64_t to = loop_.row_strides()[0] * loop_.element_bytes(),
                from = loop_.row_strides()[1] * loop_.element_bytes();
  loop_.walk(thread, [&](std::byte* const* at, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(at[0] + i * to, at[1] + i * from, bytes);
  });
}

namespace {

/// Elements that are combined at once, in the cache.
constexpr int64_t block = 256;

struct Sum {
  template <class T> T operator()(T a, T b) const { return a + b; }
};
struct Max {
  template <class T> T operator()(T a, T b) const { return a < b ? b : a; }
};

/// Some elements of all sources, at most a block.
template <class T, class Op> struct Tree {
  std::byte* const* sources;
  const int64_t* strides;
  int64_t first; ///< Of these elements in the row.
  int64_t count;

  void load(size_t source, T* out) const {
    const T* from = reinterpret_cast<const T*>(sources[source]) + first * strides[source];
    if (strides[source] == 1)
      std::copy(from, from + count, out);
    else
      for (int64_t i = 0; i < count; ++i)
        out[i] = from[i * strides[source]];
  }
  void combine(size_t begin, size_t end, T* out) const {
    if (end - begin == 1)
      return load(begin, out);
    const size_t middle = begin + std::bit_floor(end - begin - 1);
    T right[block];
    combine(begin, middle, out);
    combine(middle, end, right);
    for (int64_t i = 0; i < count; ++i)
      out[i] = Op()(out[i], right[i]);
  }
};

template <class T, class Op> void combine_rows(const BoxLoop& loop, const Thread& thread) {
  const int64_t* strides = loop.row_strides().data();
  loop.walk(thread, [&](std::byte* const* at, int64_t elements) {
    for (int64_t first = 0; first < elements; first += block) {
      const int64_t count = std::min(block, elements - first);
      T result[block]; // the target may be a source: nothing is written before all is read
      Tree<T, Op>{at + 1, strides + 1, first, count}.combine(0, loop.views() - 1, result);
      T* to = reinterpret_cast<T*>(at[0]) + first * strides[0];
      for (int64_t i = 0; i < count; ++i)
        to[i * strides[0]] = result[i];
    }
  });
}

} // namespace

BoxCombine::BoxCombine(const Box& box, const BoxView& to, const std::vector<BoxView>& sources,
                       DType dtype, Combine combine)
    : loop_(
          box,
          [&] {
            std::vector<BoxView> views = {to};
            views.insert(views.end(), sources.begin(), sources.end());
            return views;
          }(),
          byte_size(dtype)),
      dtype_(dtype), combine_(combine) {
  NETC_CHECK(dtype == DType::f32 || dtype == DType::i32, "partial results of type {}",
             to_string(dtype));
}

void BoxCombine::run(const Thread& thread) const {
  if (dtype_ == DType::f32)
    return combine_ == Combine::sum ? combine_rows<float, Sum>(loop_, thread)
                                    : combine_rows<float, Max>(loop_, thread);
  return combine_ == Combine::sum ? combine_rows<int32_t, Sum>(loop_, thread)
                                  : combine_rows<int32_t, Max>(loop_, thread);
}

} // namespace netc
