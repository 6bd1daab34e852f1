# The demo as an ordinary user on a read-only machine:
#   docker build -t meshconv .
#   docker run --rm --read-only --tmpfs /tmp -v "$PWD/out:/out" -u "$(id -u)" meshconv
FROM python:3.11-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libegl1 libgl1 libgl1-mesa-dri libxrender1 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY meshconv ./meshconv
RUN pip install --no-cache-dir -c constraints.txt torch==2.13.0 \
      --extra-index-url https://download.pytorch.org/whl/cpu \
 && pip install --no-cache-dir -c constraints.txt '.[view,learn,excel,exchange]'
WORKDIR /out
RUN useradd --no-create-home --home-dir /nonexistent meshconv
USER meshconv
# compiled code, matplotlib's fonts and PyVista's settings: all that is written beside the results
ENV NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib PYVISTA_USERDATA_PATH=/tmp/pyvista \
    OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
ENTRYPOINT ["meshconv"]
CMD ["demo", "--out", "/out"]
