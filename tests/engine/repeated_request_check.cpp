// The times of equal requests in one process, from the first one on. Too large for the test suite: run by hand.
//
//   engine_repeated_request_check MODEL [IMAGE|- [DEVICE [DTYPE [STEPS [STRENGTH [COUNT]]]]]]
//
// Prints the seconds of each stage of each request (Stage). With IMAGE, the requests start from this
// picture.
#include <cstdio>
#include <string>

#include "tempera/tempera.h"

int main(int argc, char** argv) {
  const auto argument = [&](int i, const char* usual) { return std::string(argc > i ? argv[i] : usual); };
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: engine_repeated_request_check MODEL [IMAGE|- [DEVICE [DTYPE [STEPS [STRENGTH [COUNT]]]]]]\n");
    return 2;
  }
  try {
    tempera::EngineOptions options;
    options.model = argv[1];
    options.device = argument(3, "auto");
    options.dtype = argument(4, "auto");
    tempera::Request request;
    request.prompt = "a red apple on a wooden table";
    request.seed = 1;
    request.num_inference_steps = std::stoi(argument(5, "30"));
    if (const std::string image = argument(2, "-"); image != "-") {
      request.init_image = {image};
      request.strength = std::stod(argument(6, "0.5"));
    }
    tempera::Pipeline pipeline(options);
    for (int i = 0, count = std::stoi(argument(7, "4")); i < count; ++i) {
      double total = 0;
      std::printf("request %d:", i + 1);
      for (const tempera::Stage& stage : pipeline.generate(request).stages) {
        std::printf(" %s %.4f", stage.name.c_str(), stage.seconds);
        total += stage.seconds;
      }
      std::printf(" sum %.4f\n", total);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
