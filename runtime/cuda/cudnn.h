#pragma once
// Convolutions by NVIDIA's cuDNN, which is opened where a plan asks for it. It is no part of the
// CUDA Toolkit, so its types are declared here, as cudnn.h has them.

#include "ir/plan.h"
#include "ir/target.h"
#include "runtime/cuda/library_product.h"
#include "runtime/shared_library.h"

#include <memory>
#include <vector>

namespace netc::cuda {

/// Where the library may be.
std::vector<std::string> cudnn_files();

/// cudnnConvolutionFwdAlgoPerf_t, and those of the gradients: what the library thinks of an
/// algorithm.
struct CudnnAlgorithm {
  int algorithm;
  int status;
  float time;
  size_t memory; ///< Scratch memory it needs, bytes.
  int deterministic;
  int math;
  int reserved[3];
};

/// The library's handles; descriptors of tensors, filters and convolutions are opaque, too.
using CudnnObject = void*;

/// The functions that netc calls. All return a status.
struct Cudnn {
  using Create = int (*)(CudnnObject*);
  using Destroy = int (*)(CudnnObject);
  /// (handle, three descriptors with the convolution before the last, most, found, algorithms)
  using Search = int (*)(CudnnObject, CudnnObject, CudnnObject, CudnnObject, CudnnObject, int, int*,
                         CudnnAlgorithm*);
  /// (handle, alpha, descriptor and data twice, convolution, algorithm, scratch and its bytes,
  /// beta, descriptor and data of the result)
  using Compute = int (*)(CudnnObject, const void*, CudnnObject, const void*, CudnnObject,
                          const void*, CudnnObject, int, void*, size_t, const void*, CudnnObject,
                          void*);

  /// Opens the first of `files` that is there. RuntimeError when none is, or a function is missing.
  explicit Cudnn(const std::vector<std::string>& files);

  /// Throws RuntimeError unless `status` is success: the function, the status and its number.
  void check(int status, const char* function) const;

  SharedLibrary library;
  const char* (*status_text)(int);
  Create create, create_tensor, create_filter, create_convolution;
  Destroy destroy, destroy_tensor, destroy_filter, destroy_convolution;
  int (*set_stream)(CudnnObject, cudaStream_t);
  int (*set_tensor)(CudnnObject, int format, int type, int n, int c, int h, int w);
  int (*set_filter)(CudnnObject, int type, int format, int k, int c, int h, int w);
  int (*set_convolution)(CudnnObject, int pad_h, int pad_w, int stride_h, int stride_w, int dil_h,
                         int dil_w, int mode, int type);
  int (*set_groups)(CudnnObject, int);
  int (*set_math)(CudnnObject, int);
  Search search[3]; ///< Forward, data gradient, weight gradient.
  Compute compute[3];
};

/// An object of the library that goes with its owner, before the functions do.
using CudnnOwned = std::unique_ptr<void, Cudnn::Destroy>;

/// The library on the device that is current when this is made.
struct CudnnHandle {
  explicit CudnnHandle(const std::vector<std::string>& files);

  Cudnn functions;
  CudnnOwned handle;
};

/// How the library is told of a convolution; needs no device.
struct ConvolutionDescription {
  ConvolutionDescription(const Cudnn& functions, const LibraryCall& call, Precision precision);

  CudnnOwned in, weights, out, convolution; ///< `in` and `out` of the forward pass.
};

class Convolution : public LibraryProduct {
public:
  /// Takes the algorithm that the library thinks fastest of those that are deterministic and have
  /// scratch memory enough. `library` must outlive the product; `kernel`: whose it is, for errors.
  /// Throws RuntimeError where the library refuses, or has none.
  Convolution(const CudnnHandle& library, const LibraryCall& call, Precision precision,
              std::string kernel);

  void run(std::span<void* const> parameters, cudaStream_t stream) const override;

private:
  /// The descriptors of first operand, second operand and result.
  std::array<CudnnObject, 3> roles() const;

  const CudnnHandle& library_;
  LibraryCall call_;
  std::string kernel_;
  size_t pass_; ///< Forward, data gradient, weight gradient.
  ConvolutionDescription description_;
  int algorithm_ = 0;
};

} // namespace netc::cuda
