// A stand-in for cuDNN: the functions of its convolutions that netc calls, as cudnn.h documents
// them, over the host's memory and at once. It knows images and filters with channels innermost
// only, and of algorithms one of each kind that netc has to tell apart.

#include <cudnn.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Tensor {
  int n, c, h, w;
  bool operator==(const Tensor&) const = default;
};
struct Filter {
  int k, c, h, w; ///< c: of a group.
};
struct Conv {
  int pad[2], stride[2], dilation[2], groups;
  cudnnMathType_t math;
};

std::string failing;
cudnnStatus_t failure = CUDNN_STATUS_SUCCESS;
int objects = 0;
cudaStream_t last_stream = nullptr;

cudnnStatus_t status_of(const char* function) {
  return failing == function ? failure : CUDNN_STATUS_SUCCESS;
}

template <class T, class Handle> cudnnStatus_t make(const char* function, Handle* handle) {
  if (cudnnStatus_t status = status_of(function); status != CUDNN_STATUS_SUCCESS)
    return status;
  *handle = reinterpret_cast<Handle>(new T{});
  ++objects;
  return CUDNN_STATUS_SUCCESS;
}
template <class T, class Handle> cudnnStatus_t destroy(Handle handle) {
  delete reinterpret_cast<T*>(handle);
  --objects;
  return CUDNN_STATUS_SUCCESS;
}

const Tensor& of(cudnnTensorDescriptor_t desc) {
  return *reinterpret_cast<const Tensor*>(desc);
}
const Filter& of(cudnnFilterDescriptor_t desc) {
  return *reinterpret_cast<const Filter*>(desc);
}
Conv& of(cudnnConvolutionDescriptor_t desc) {
  return *reinterpret_cast<Conv*>(desc);
}

/// Whether y is what the convolution makes of x.
bool fit(const Tensor& x, const Filter& w, const Conv& c, const Tensor& y) {
  auto size = [&](int in, int kernel, int d) {
    return (in + 2 * c.pad[d] - (kernel - 1) * c.dilation[d] - 1) / c.stride[d] + 1;
  };
  return x.c == w.c * c.groups && w.k % c.groups == 0 &&
         y == Tensor{x.n, w.k, size(x.h, w.h, 0), size(x.w, w.w, 1)};
}

/// Calls use(x, w, y) with the indices of every product of the convolution.
template <class Use>
void each_product(const Tensor& x, const Filter& w, const Conv& c, const Tensor& y, Use use) {
  for (int n = 0; n < y.n; ++n)
    for (int oh = 0; oh < y.h; ++oh)
      for (int ow = 0; ow < y.w; ++ow)
        for (int k = 0; k < y.c; ++k)
          for (int r = 0; r < w.h; ++r)
            for (int s = 0; s < w.w; ++s) {
              const int h = oh * c.stride[0] - c.pad[0] + r * c.dilation[0];
              const int v = ow * c.stride[1] - c.pad[1] + s * c.dilation[1];
              if (h < 0 || h >= x.h || v < 0 || v >= x.w)
                continue;
              for (int i = 0; i < w.c; ++i)
                use(((n * x.h + h) * x.w + v) * x.c + k / (w.k / c.groups) * w.c + i,
                    ((k * w.h + r) * w.w + s) * w.c + i, ((n * y.h + oh) * y.w + ow) * y.c + k);
            }
}

/// Ten bits of mantissa.
float tf32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x1000) & ~0x1fffu;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr size_t scratch = 128;

/// In the order of their times: one that is unsupported, one with too much memory, one that is not
/// deterministic, one that may round to halves, then what may be taken: of TF32 and of f32.
template <class Perf, class Algorithm>
cudnnStatus_t search(const char* function, int requested, int* found, Perf* list) {
  if (cudnnStatus_t status = status_of(function); status != CUDNN_STATUS_SUCCESS)
    return status;
  const Perf all[] = {
      {Algorithm(9), CUDNN_STATUS_NOT_SUPPORTED, 1, 0, CUDNN_DETERMINISTIC, CUDNN_DEFAULT_MATH, {}},
      {Algorithm(9),
       CUDNN_STATUS_SUCCESS,
       1,
       size_t{1} << 40,
       CUDNN_DETERMINISTIC,
       CUDNN_FMA_MATH,
       {}},
      {Algorithm(9), CUDNN_STATUS_SUCCESS, 1, 0, CUDNN_NON_DETERMINISTIC, CUDNN_FMA_MATH, {}},
      {Algorithm(9),
       CUDNN_STATUS_SUCCESS,
       1,
       0,
       CUDNN_DETERMINISTIC,
       CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION,
       {}},
      {Algorithm(1),
       CUDNN_STATUS_SUCCESS,
       1,
       scratch,
       CUDNN_DETERMINISTIC,
       CUDNN_TENSOR_OP_MATH,
       {}},
      {Algorithm(2), CUDNN_STATUS_SUCCESS, 1, scratch, CUDNN_DETERMINISTIC, CUDNN_FMA_MATH, {}}};
  const int offered = failing == "deterministic" ? 4 : 6;
  *found = requested < offered ? requested : offered;
  std::copy(all, all + *found, list);
  return CUDNN_STATUS_SUCCESS;
}

/// Fills `result` from what use(sums) adds up; false where the library would refuse.
template <class Sum>
cudnnStatus_t compute(const char* function, int algorithm, const Conv& c, bool shapes_fit,
                      void* workspace, size_t workspace_bytes, const void* alpha, const void* beta,
                      float* result, size_t count, Sum sum) {
  if (cudnnStatus_t status = status_of(function); status != CUDNN_STATUS_SUCCESS)
    return status;
  if (!shapes_fit || !workspace || workspace_bytes < scratch ||
      algorithm != (c.math == CUDNN_FMA_MATH ? 2 : 1) || *static_cast<const float*>(alpha) != 1 ||
      *static_cast<const float*>(beta) != 0)
    return CUDNN_STATUS_BAD_PARAM;
  std::memset(workspace, 0xff, scratch);
  const bool rounded = c.math != CUDNN_FMA_MATH;
  auto product = [&](float a, float b) {
    return rounded ? double(tf32(a)) * tf32(b) : double(a) * b;
  };
  std::vector<double> sums(count);
  sum(sums.data(), product);
  std::copy(sums.begin(), sums.end(), result);
  return CUDNN_STATUS_SUCCESS;
}

size_t count_of(const Tensor& t) {
  return size_t(t.n) * t.c * t.h * t.w;
}

} // namespace

extern "C" {

// -- For tests

/// From now on the function fails with that status.
void stand_in_fail(const char* function, cudnnStatus_t status) {
  failing = function;
  failure = status;
}
/// Objects that live.
int stand_in_objects() {
  return objects;
}
/// What the library was told to work on.
cudaStream_t stand_in_stream() {
  return last_stream;
}

// -- The library

const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_NOT_SUPPORTED ? "CUDNN_STATUS_NOT_SUPPORTED" : "CUDNN_STATUS_OTHER";
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return make<int>("cudnnCreate", handle);
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  return destroy<int>(handle);
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t stream) {
  last_stream = stream;
  return status_of("cudnnSetStream");
}
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* desc) {
  return make<Tensor>("cudnnCreateTensorDescriptor", desc);
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t desc) {
  return destroy<Tensor>(desc);
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t desc, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NHWC || type != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED;
  *reinterpret_cast<Tensor*>(desc) = {n, c, h, w};
  return status_of("cudnnSetTensor4dDescriptor");
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* desc) {
  return make<Filter>("cudnnCreateFilterDescriptor", desc);
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t desc) {
  return destroy<Filter>(desc);
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t desc, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NHWC || type != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED;
  *reinterpret_cast<Filter*>(desc) = {k, c, h, w};
  return status_of("cudnnSetFilter4dDescriptor");
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* desc) {
  return make<Conv>("cudnnCreateConvolutionDescriptor", desc);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t desc) {
  return destroy<Conv>(desc);
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t desc, int pad_h,
                                              int pad_w, int u, int v, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t type) {
  if (mode != CUDNN_CROSS_CORRELATION || type != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED;
  of(desc) = {{pad_h, pad_w}, {u, v}, {dilation_h, dilation_w}, 1, CUDNN_DEFAULT_MATH};
  return status_of("cudnnSetConvolution2dDescriptor");
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t desc, int groups) {
  of(desc).groups = groups;
  return status_of("cudnnSetConvolutionGroupCount");
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t desc, cudnnMathType_t math) {
  of(desc).math = math;
  return status_of("cudnnSetConvolutionMathType");
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t,
                                                     cudnnFilterDescriptor_t,
                                                     cudnnConvolutionDescriptor_t,
                                                     cudnnTensorDescriptor_t, int most, int* found,
                                                     cudnnConvolutionFwdAlgoPerf_t* list) {
  return search<cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionFwdAlgo_t>(
      "cudnnGetConvolutionForwardAlgorithm_v7", most, found, list);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, cudnnFilterDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t,
    cudnnTensorDescriptor_t, int most, int* found, cudnnConvolutionBwdDataAlgoPerf_t* list) {
  return search<cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t>(
      "cudnnGetConvolutionBackwardDataAlgorithm_v7", most, found, list);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, cudnnTensorDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t,
    cudnnFilterDescriptor_t, int most, int* found, cudnnConvolutionBwdFilterAlgoPerf_t* list) {
  return search<cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t>(
      "cudnnGetConvolutionBackwardFilterAlgorithm_v7", most, found, list);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t, const void* alpha,
                                      cudnnTensorDescriptor_t x_desc, const void* x,
                                      cudnnFilterDescriptor_t w_desc, const void* w,
                                      cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                                      size_t bytes, const void* beta,
                                      cudnnTensorDescriptor_t y_desc, void* y) {
  const auto *a = static_cast<const float*>(x), *b = static_cast<const float*>(w);
  return compute("cudnnConvolutionForward", algorithm, of(conv),
                 fit(of(x_desc), of(w_desc), of(conv), of(y_desc)), workspace, bytes, alpha, beta,
                 static_cast<float*>(y), count_of(of(y_desc)), [&](double* sums, auto product) {
                   each_product(of(x_desc), of(w_desc), of(conv), of(y_desc),
                                [&](int i, int j, int k) { sums[k] += product(a[i], b[j]); });
                 });
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t, const void* alpha,
                                           cudnnFilterDescriptor_t w_desc, const void* w,
                                           cudnnTensorDescriptor_t dy_desc, const void* dy,
                                           cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                           size_t bytes, const void* beta,
                                           cudnnTensorDescriptor_t dx_desc, void* dx) {
  const auto *a = static_cast<const float*>(dy), *b = static_cast<const float*>(w);
  return compute("cudnnConvolutionBackwardData", algorithm, of(conv),
                 fit(of(dx_desc), of(w_desc), of(conv), of(dy_desc)), workspace, bytes, alpha, beta,
                 static_cast<float*>(dx), count_of(of(dx_desc)), [&](double* sums, auto product) {
                   each_product(of(dx_desc), of(w_desc), of(conv), of(dy_desc),
                                [&](int i, int j, int k) { sums[i] += product(a[k], b[j]); });
                 });
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t, const void* alpha,
                                             cudnnTensorDescriptor_t x_desc, const void* x,
                                             cudnnTensorDescriptor_t dy_desc, const void* dy,
                                             cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm,
                                             void* workspace, size_t bytes, const void* beta,
                                             cudnnFilterDescriptor_t dw_desc, void* dw) {
  const auto *a = static_cast<const float*>(x), *b = static_cast<const float*>(dy);
  const Filter& f = of(dw_desc);
  return compute("cudnnConvolutionBackwardFilter", algorithm, of(conv),
                 fit(of(x_desc), f, of(conv), of(dy_desc)), workspace, bytes, alpha, beta,
                 static_cast<float*>(dw), size_t(f.k) * f.c * f.h * f.w,
                 [&](double* sums, auto product) {
                   each_product(of(x_desc), f, of(conv), of(dy_desc),
                                [&](int i, int j, int k) { sums[j] += product(a[i], b[k]); });
                 });
}

} // extern "C"
